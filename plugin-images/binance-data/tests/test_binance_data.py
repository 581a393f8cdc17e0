"""The source at a real WebSocket on loopback that sends what Binance sends."""

import gzip
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from binance_data import BinanceData
from jsonschema import Draft202012Validator

from ntp.contract.manifest import Manifest
from tests.worlds.scripted_exchange import exchange, running, within

FOLDER = Path(__file__).parents[1]
FRAMES = FOLDER.parents[2] / "shared" / "data" / "binance_spot_frames_20240808.txt.gz"
START = 1723161255342
QUICK = {"reconnect_first_seconds": 0.01, "reconnect_longest_seconds": 0.05}


def source(server, *symbols, path="/ws", **config):
    given = {"stream_url": server.url + path, "symbols": list(symbols or ["BTCUSDT"])}
    plugin = BinanceData({**given, **QUICK, **config})
    plugin.instance = "binance_data"
    return plugin


def trade(number, symbol="BTCUSDT", *, at=None, price="61837.63000000"):
    time = START + number if at is None else at
    return {
        "e": "trade", "E": time + 1, "s": symbol, "t": number, "p": price, "q": "0.02000000",
        "T": time, "m": True, "M": True,
    }  # fmt: skip


def book(symbol="BTCUSDT", bid="61837.63000000", ask="61837.64000000"):
    return {"u": 50093239212, "s": symbol, "b": bid, "B": "3.78826000", "a": ask, "A": "1.5"}


async def opened(server, number=0):
    """Return a connection whose first request was answered as Binance does."""
    caller = await server.caller(number)
    request = await caller.request()
    await caller.send({"result": None, "id": request["id"]})
    return caller, request


async def test_it_subscribes_by_one_request_and_sends_each_trade_with_the_exchanges_id_and_time():
    async with exchange() as server, running(source(server, "BTCUSDT", "ETHUSDT")) as run:
        caller, request = await opened(server)
        assert (caller.path, request["method"], type(request["id"])) == ("/ws", "SUBSCRIBE", int)
        assert sorted(request["params"]) == [
            "btcusdt@bookTicker", "btcusdt@trade", "ethusdt@bookTicker", "ethusdt@trade",
        ]  # fmt: skip
        await caller.send(trade(3735683259, at=START))
        tick = await run.tick()
        assert tick.id == "BTCUSDT:3735683259"
        assert tick.timestamp == datetime(2024, 8, 8, 23, 54, 15, 342000, tzinfo=UTC)
        assert (tick.symbol, tick.price, tick.volume) == ("BTCUSDT", 61837.63, 0.02)
        assert (tick.bid, tick.ask, tick.metadata) == (None, None, {"buyer_maker": True})


async def test_a_book_ticker_has_neither_kind_nor_time_and_gives_the_next_trades_bid_and_ask():
    async with exchange() as server, running(source(server, "BTCUSDT", "ETHUSDT")) as run:
        caller, _ = await opened(server)
        await caller.send(trade(1), book(), trade(2), trade(7, "ETHUSDT"), book(bid="1", ask="2"))
        await caller.send(trade(3))
        first, second, other, third = await run.ticks(4)
        assert (first.bid, first.ask) == (None, None)
        assert (second.bid, second.ask) == (61837.63, 61837.64)
        assert (other.symbol, other.bid) == ("ETHUSDT", None), "each symbol has a book of its own"
        assert (third.bid, third.ask) == (1.0, 2.0)


async def test_the_combined_form_is_read_as_the_raw_one():
    async with exchange() as server, running(source(server, path="/stream")) as run:
        caller, _ = await opened(server)
        await caller.send({"stream": "btcusdt@bookTicker", "data": book()})
        await caller.send({"stream": "btcusdt@trade", "data": trade(5)})
        tick = await run.tick()
        assert (tick.id, tick.bid) == ("BTCUSDT:5", 61837.63)


async def test_aggregated_trades_have_numbers_of_their_own():
    wanted = ["aggTrade", "bookTicker"]
    async with exchange() as server, running(source(server, channels=wanted)) as run:
        caller, request = await opened(server)
        assert request["params"] == ["btcusdt@aggTrade", "btcusdt@bookTicker"]
        event = {
            "e": "aggTrade", "E": START, "s": "BTCUSDT", "a": 12345, "p": "0.001", "q": "100",
            "f": 100, "l": 105, "T": START, "m": False, "M": True,
        }  # fmt: skip
        await caller.send(event)
        tick = await run.tick()
        assert (tick.id, tick.price, tick.volume) == ("BTCUSDT:a12345", 0.001, 100.0)


async def test_a_time_in_microseconds_is_understood():
    async with (
        exchange() as server,
        running(source(server, path="/ws?timeUnit=MICROSECOND")) as run,
    ):
        caller, _ = await opened(server)
        await caller.send(trade(1, at=START * 1000 + 7))
        moment = (await run.tick()).timestamp
        assert moment == datetime(2024, 8, 8, 23, 54, 15, 342007, tzinfo=UTC)


async def test_ticks_bear_the_symbol_as_the_config_writes_it():
    async with exchange() as server, running(source(server, "btcusdt")) as run:
        caller, _ = await opened(server)
        await caller.send(trade(1))
        tick = await run.tick()
        assert (tick.symbol, tick.id) == ("btcusdt", "BTCUSDT:1")


async def test_many_symbols_are_asked_for_in_batches_below_the_rolling_limit():
    names = [f"COIN{i:03}USDT" for i in range(400)]
    async with exchange() as server, running(source(server, *names)):
        caller = await server.caller(0)
        asked = [await caller.request() for _ in range(8)]
        assert sorted(itertools.chain.from_iterable(each["params"] for each in asked)) == sorted(
            f"{name.lower()}@{channel}" for name in names for channel in ("trade", "bookTicker")
        )
        assert len({each["id"] for each in asked}) == 8
        times = caller.arrivals
        most = max(sum(t <= other < t + 1 for other in times) for t in times)
        # It sends fewer, for pongs count too; a busy machine may squeeze two seconds together.
        assert most <= 5, "what Binance allows; all eight at once without a limit"


async def test_symbols_are_added_and_taken_away_while_it_runs():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send(trade(1))
        await run.tick()
        assert await run.plugin.subscribe(["ETHUSDT"])
        request = await caller.request()
        assert request["method"] == "SUBSCRIBE"
        assert request["params"] == ["ethusdt@bookTicker", "ethusdt@trade"]
        assert await run.plugin.unsubscribe(["BTCUSDT"])
        request = await caller.request()
        assert request["method"] == "UNSUBSCRIBE"
        assert request["params"] == ["btcusdt@bookTicker", "btcusdt@trade"]
        # One was still under way.
        await caller.send(trade(2), trade(9, "ETHUSDT"))
        assert (await run.tick()).id == "ETHUSDT:9"
        await caller.close()
        _, request = await opened(server, 1)
        assert request["params"] == ["ethusdt@bookTicker", "ethusdt@trade"], "as of now"


async def test_more_streams_than_a_connection_may_have_are_refused():
    async with exchange() as server, running(source(server)) as run:
        await opened(server)
        assert await run.plugin.subscribe([f"COIN{i}USDT" for i in range(512)]) is False
        assert await run.plugin.subscribe([f"COIN{i}USDT" for i in range(511)]) is True


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011])
async def test_any_close_is_followed_by_a_new_connection_that_subscribes_again(code):
    async with exchange() as server, running(source(server)) as run:
        caller, before = await opened(server)
        await caller.send(book(), trade(1))
        await run.tick()
        if code == 1006:
            caller.cut()
        else:
            await caller.close(code, "Too many requests" if code == 1008 else "")
        caller, again = await opened(server, 1)
        assert again["params"] == before["params"]
        words = "the connection was lost" if code == 1006 else f"closed by the exchange: {code}"
        assert words in run.plugin.report()["last_end"]
        condition = run.plugin.conditions()["Disconnected"]
        assert words in condition
        assert f"127.0.0.1:{server.port}" in condition
        await caller.send(trade(2))
        tick = await run.tick()
        assert tick.id == "BTCUSDT:2"
        assert tick.bid is None, "the book of before says nothing of now"
        assert run.plugin.conditions() == {}


async def test_an_exchange_that_is_not_there_is_tried_again_until_it_is():
    async with exchange() as server:
        port = server.port
    async with running(source(server)) as run:
        words = await run.until(lambda: run.plugin.conditions().get("ConnectFailed"))
        assert f"127.0.0.1:{port}" in words
        assert "connect failed" in words
        await run.until(lambda: run.plugin.report()["failures"] >= 4)
        async with exchange(port) as server:
            caller, _ = await opened(server)
            await run.until(lambda: not run.plugin.conditions())
            await caller.send(trade(1))
            await run.tick()


async def test_an_announced_end_is_followed_by_a_new_connection_at_once():
    slow = {"reconnect_first_seconds": 1000, "reconnect_longest_seconds": 1000}
    for frame in (
        {"e": "serverShutdown", "E": 1770123456789},
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1770123456789}},
    ):
        async with exchange() as server, running(source(server, **slow)) as run:
            caller, _ = await opened(server)
            await caller.send(trade(1), frame)
            await run.tick()
            caller, _ = await opened(server, 1)
            await caller.send(trade(2))
            await run.tick()
            report = run.plugin.report()
            assert (report["connections"], report["failures"]) == (2, 0)
            assert "serverShutdown" in report["last_end"]


async def test_a_connection_is_replaced_before_the_exchange_ends_it():
    slow = {"reconnect_first_seconds": 1000, "reconnect_longest_seconds": 1000}
    async with exchange() as server, running(source(server, lifetime_seconds=0.3, **slow)) as run:
        for number in range(3):
            caller, _ = await opened(server, number)
            await caller.send(trade(number))
            await run.tick()
            await within(caller.gone.wait())
        assert "replaced after" in run.plugin.report()["last_end"]


async def test_repeated_trades_are_dropped_and_missing_ones_told():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send(trade(1), trade(1), trade(2), trade(6), trade(4), trade(6), trade(7))
        assert [tick.id for tick in await run.ticks(4)] == [
            "BTCUSDT:1", "BTCUSDT:2", "BTCUSDT:6", "BTCUSDT:7",
        ]  # fmt: skip
        report = run.plugin.report()
        assert report["missed"] == {"BTCUSDT": 3}
        assert report["duplicates"] == {"BTCUSDT": 2}
        assert report["late"] == {"BTCUSDT": 1}, "4 came after 6: a source promises order"
        words = run.plugin.conditions()["TradesMissed"]
        assert words == "3 trades of BTCUSDT were missed: 3 to 5"
        await caller.send(trade(9))
        await run.tick()
        words = run.plugin.conditions()["TradesMissed"]
        assert words == "1 trade of BTCUSDT was missed: 8"


async def test_trades_missed_while_it_was_away_are_told():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send(trade(10))
        await run.tick()
        caller.cut()
        caller, _ = await opened(server, 1)
        await caller.send(trade(15))
        await run.tick()
        assert run.plugin.report()["missed"] == {"BTCUSDT": 4}


async def test_an_exchange_that_counts_anew_is_followed():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send(trade(1000), trade(1, at=START + 5000), trade(2, at=START + 5001))
        assert [tick.id for tick in await run.ticks(3)][1:] == ["BTCUSDT:1", "BTCUSDT:2"]
        assert run.plugin.report()["renumbered"] == {"BTCUSDT": 1}


async def test_a_silent_feed_is_shown_and_replaced():
    async with exchange() as server, running(source(server, stale_seconds=0.2)) as run:
        caller, _ = await opened(server)
        await caller.send(trade(1))
        await run.tick()
        # Open, answering pings, and without data.
        caller, _ = await opened(server, 1)
        words = run.plugin.conditions()["FeedStale"]
        assert words.startswith(f"no data from 127.0.0.1:{server.port} for 0 s, over an open")
        caller, _ = await opened(server, 2)
        assert "FeedStale" in run.plugin.conditions(), "until data comes"
        await caller.send(trade(2))
        await run.tick()
        assert "FeedStale" not in run.plugin.conditions()


async def test_a_symbol_that_the_exchange_does_not_have_is_never_heard_and_told():
    config = {"stale_seconds": 0.3}
    async with exchange() as server, running(source(server, "BTCUSDT", "NOSUCH", **config)) as run:
        caller, _ = await opened(server)
        numbers = itertools.count(1)

        async def traded():
            await caller.send(trade(next(numbers)))
            await run.tick()
            return run.plugin.conditions().get("NeverHeard")

        while not (words := await within(traded())):
            pass
        assert words.startswith("nothing ever came for NOSUCH")
        assert run.plugin.report()["never_heard"] == ["NOSUCH"]


async def test_a_refused_request_is_told_in_the_exchanges_words():
    async with exchange() as server, running(source(server)) as run:
        caller = await server.caller(0)
        request = await caller.request()
        fault = {"code": 2, "msg": "Invalid request: invalid stream"}
        await caller.send({"error": fault, "id": request["id"]}, trade(1))
        await run.tick()
        words = run.plugin.conditions()["SubscribeRefused"]
        assert words == "BTCUSDT: the exchange said 2 Invalid request: invalid stream"


async def test_what_cannot_be_read_is_counted_and_the_rest_goes_on():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        broken = [
            '{"e":"trade","s":"BTCUSDT","t":', "[]", "null", '{"e":"trade","s":"BTCUSDT"}',
            trade(1, price="NaN"), trade(1, price="much"), {**trade(1), "t": "1"},
        ]  # fmt: skip
        others = [{"e": "kline", "s": "BTCUSDT", "k": {}}, {"lastUpdateId": 1, "bids": []}]
        await caller.send(*broken, *others, trade(2))
        assert (await run.tick()).id == "BTCUSDT:2"
        report = run.plugin.report()
        assert report["unread_frames"] == len(broken)
        assert "BTCUSDT" in report["last_unread"]
        words = run.plugin.conditions()["FramesUnread"]
        assert words.startswith(f"{len(broken)} frames could not be read, the last: ")


async def test_it_ends_within_a_second_although_the_exchange_does_not_answer():
    async with exchange() as server:
        async with running(source(server)) as run:
            caller, _ = await opened(server)
            await caller.send(trade(1))
            await run.tick()
            caller.connection.transport.pause_reading()
        assert run.ended is None
        caller.cut()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"stream_url": "https://stream.binance.com"}, "stream_url was 'https"),
        ({"stream_url": 5}, "stream_url was 5"),
        ({"channels": ["bookTicker"]}, "exactly one of trade and aggTrade"),
        ({"channels": ["trade", "aggTrade"]}, "exactly one of trade and aggTrade"),
        ({"channels": ["trade", "kline_1m"]}, "channels had kline_1m"),
        ({"symbols": [f"S{i}" for i in range(513)]}, "1024 streams"),
        ({"stale_seconds": 0}, "stale_seconds was 0"),
        ({"reconnect_first_seconds": "soon"}, "reconnect_first_seconds was 'soon'"),
    ],
)
def test_a_config_that_cannot_work_is_refused(config, words):
    with pytest.raises(ValueError, match=words):
        BinanceData(config).validate_config()


def test_the_manifest_and_the_class_agree():
    manifest = Manifest.model_validate(yaml.safe_load((FOLDER / "plugin.yaml").read_text()))
    said = BinanceData({}).get_metadata()
    assert (said.name, said.version, said.requirements) == (
        manifest.name, manifest.version, manifest.requirements,
    )  # fmt: skip
    assert manifest.egress == ["stream.binance.com:9443"]
    fields = manifest.config_schema["properties"]
    config = {name: field["default"] for name, field in fields.items()}
    Draft202012Validator(manifest.config_schema).validate(config)
    assert BinanceData(config).validate_config()
    users = {"stream_url": "wss://stream.binance.com:9443/ws", "symbols": ["BTCUSDT", "ETHUSDT"]}
    Draft202012Validator(manifest.config_schema).validate(users)
    assert BinanceData(users).validate_config()


@pytest.mark.shared
@pytest.mark.skipif(not FRAMES.exists(), reason="needs the recordings in ../shared")
async def test_recorded_frames_become_every_trade_with_the_book_before_it():
    with gzip.open(FRAMES, "rt") as lines:
        frames = [line.split(" ", 1)[1].rstrip("\n") for line in lines]
    expected, books = [], {}
    for frame in frames:
        data = json.loads(frame).get("data", {})
        if data.get("e") == "trade":
            known = books.get(data["s"], (None, None))
            expected.append((f"{data['s']}:{data['t']}", float(data["p"]), *known))
        elif "e" not in data and "u" in data:
            books[data["s"]] = (float(data["b"]), float(data["a"]))
    assert len(expected) > 100
    symbols = ("BTCUSDT", "ETHUSDT")
    async with exchange() as server, running(source(server, *symbols, path="/stream")) as run:
        caller, _ = await opened(server)
        await caller.send(*frames)
        ticks = await run.ticks(len(expected))
        assert [(t.id, t.price, t.bid, t.ask) for t in ticks] == expected
        report = run.plugin.report()
        assert (report["missed"], report["duplicates"], report["late"]) == ({}, {}, {})
        assert report["unread_frames"] == 0
