"""The source at a real WebSocket on loopback that sends what Polygon sends."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from polygon_data import PolygonData
from polygon_trail import REMEMBERED, Trail

from ntp import PermanentError
from ntp.contract.manifest import Manifest
from tests.worlds.scripted_exchange import exchange, running

FOLDER = Path(__file__).parents[1]
START = 1536036818784
KEY = "a-key-that-nobody-prints"
QUICK = {"reconnect_first_seconds": 0.01, "reconnect_longest_seconds": 0.05}


def source(server, *symbols, **config):
    given = {"stream_url": server.url + "/stocks", "api_key": KEY}
    plugin = PolygonData({**given, "symbols": list(symbols or ["AAPL"]), **QUICK, **config})
    plugin.instance = "polygon_data"
    return plugin


def status(word, message=""):
    return {"ev": "status", "status": word, "message": message}


def trade(number, symbol="AAPL", *, at=None, price=114.125, **more):
    return {
        "ev": "T", "sym": symbol, "x": 4, "i": str(number), "z": 3, "p": price, "s": 100,
        "c": [0, 12], "t": START + number if at is None else at, "q": 3681328 + number, **more,
    }  # fmt: skip


def quote(symbol="AAPL", bid=114.12, ask=114.13):
    return {
        "ev": "Q", "sym": symbol, "bx": 4, "bp": bid, "bs": 100, "ax": 7, "ap": ask, "as": 160,
        "c": 0, "i": [604], "t": START, "q": 50385480, "z": 3,
    }  # fmt: skip


def minute(symbol="AAPL"):
    return {
        "ev": "AM", "sym": symbol, "v": 4110, "av": 9470157, "op": 0.4372, "vw": 0.4488,
        "o": 0.4488, "c": 0.4486, "h": 0.4489, "l": 0.4486, "a": 0.4352, "z": 685,
        "s": 1610144640000, "e": 1610144700000,
    }  # fmt: skip


async def authenticated(server, number=0):
    caller = await server.caller(number)
    await caller.send([status("connected", "Connected Successfully")])
    assert await caller.request() == {"action": "auth", "params": KEY}
    await caller.send([status("auth_success", "authenticated")])
    return caller


async def opened(server, number=0):
    """Return a connection that is logged in and subscribed as Polygon does it, and its topics."""
    caller = await authenticated(server, number)
    request = await caller.request()
    assert request["action"] == "subscribe"
    topics = request["params"].split(",")
    await caller.send(*([status("success", f"subscribed to: {topic}")] for topic in topics))
    return caller, topics


async def test_it_logs_in_frame_by_frame_and_then_subscribes():
    async with exchange() as server, running(source(server, "AAPL", "GOOGL")):
        caller = await server.caller(0)
        assert caller.path == "/stocks"
        # A pong shows that all it sent before has arrived.
        await (await caller.connection.ping())
        assert caller.asked_nothing(), "before the server said `connected`"
        await caller.send([status("connected", "Connected Successfully")])
        assert await caller.request() == {"action": "auth", "params": KEY}
        await (await caller.connection.ping())
        assert caller.asked_nothing(), "before the server answered the key"
        await caller.send([status("auth_success", "authenticated")])
        assert await caller.request() == {"action": "subscribe", "params": "T.AAPL,T.GOOGL"}


async def test_a_trade_has_the_exchanges_id_and_time():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send([trade(12345, at=START)])
        tick = await run.tick()
        assert tick.id == "AAPL:4:12345"
        assert tick.timestamp == datetime(2018, 9, 4, 4, 53, 38, 784000, tzinfo=UTC)
        assert (tick.symbol, tick.price, tick.volume) == ("AAPL", 114.125, 100.0)
        assert tick.metadata == {"exchange": 4, "conditions": [0, 12]}
        await caller.send([{**trade(7), "i": ""}])
        assert (await run.tick()).id == "AAPL:q3681335", "without an id its sequence names it"


async def test_one_frame_may_mix_kinds_symbols_and_statuses():
    config = {"channels": ["T", "Q"]}
    async with exchange() as server, running(source(server, "AAPL", "GOOGL", **config)) as run:
        caller, topics = await opened(server)
        assert topics == ["Q.AAPL", "Q.GOOGL", "T.AAPL", "T.GOOGL"]
        await caller.send([trade(1), quote(), status("success", "…"), trade(2), trade(3, "GOOGL")])
        first, second, other = await run.ticks(3)
        assert (first.bid, first.ask) == (None, None)
        assert (second.bid, second.ask) == (114.12, 114.13)
        assert (other.symbol, other.bid) == ("GOOGL", None)


async def test_a_bar_is_a_tick_at_its_end():
    async with exchange() as server, running(source(server, channels=["AM"])) as run:
        caller, topics = await opened(server)
        assert topics == ["AM.AAPL"]
        await caller.send([minute()], [minute()])
        tick = await run.tick()
        assert tick.id == "AAPL:AM1610144640000"
        assert tick.timestamp == datetime(2021, 1, 8, 22, 25, tzinfo=UTC)
        assert (tick.price, tick.volume) == (0.4486, 4110.0)
        assert tick.metadata == {"open": 0.4488, "high": 0.4489, "low": 0.4486, "vwap": 0.4488}
        await run.until(lambda: run.plugin.report()["duplicates"] == {"AAPL": 1})


async def test_a_refused_key_ends_it_for_good_and_is_not_printed():
    async with exchange() as server, running(source(server)) as run:
        caller = await server.caller(0)
        await caller.send([status("connected")])
        await caller.request()
        await caller.send([status("auth_failed", "authentication failed")])
        error = await run.until(lambda: run.ended)
        assert isinstance(error, PermanentError)
        assert error.reason == "AuthFailed"
        assert "authentication failed" in error.message
        assert KEY not in error.message
        assert len(server.callers) == 1


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("auth_timeout", "No authentication request received."),
        ("max_connections", "Maximum number of websocket connections exceeded."),
        ("error", "something new"),
    ],
)
async def test_any_other_refusal_of_the_login_is_tried_again(word, message):
    async with exchange() as server, running(source(server)) as run:
        caller = await server.caller(0)
        await caller.send([status("connected")])
        await caller.request()
        await caller.send([status(word, message)])
        words = await run.until(lambda: run.plugin.conditions().get("Disconnected"))
        assert f"{word}: {message.removesuffix('.')}; " in words
        caller, _ = await opened(server, 1)
        await caller.send([trade(1)])
        await run.tick()
        assert run.plugin.conditions() == {}


async def test_a_login_that_is_answered_by_no_status_is_tried_again():
    async with exchange() as server, running(source(server)) as run:
        caller = await server.caller(0)
        await caller.send("no JSON")
        caller = await server.caller(1)
        await caller.send([trade(1)])
        await opened(server, 2)
        assert "no status came while logging in" in run.plugin.report()["last_end"]


async def test_too_many_connections_after_a_good_login_wait_longer_each_time():
    async with exchange() as server, running(source(server, reconnect_longest_seconds=60)) as run:
        waits = []
        for number in range(5):
            caller, _ = await opened(server, number)
            waits.append(run.plugin.report()["next_wait_s"])
            full = "Maximum number of websocket connections exceeded. You have reached the limit."
            await caller.send([status("max_connections", full)])
            await caller.close(1008)
        assert waits == [0.01, 0.02, 0.04, 0.08, 0.16], "a good login sets nothing back"
        words = await run.until(lambda: run.plugin.conditions().get("Disconnected"))
        assert "max_connections: Maximum number" in words


@pytest.mark.parametrize("word", ["slow_consumer", "force_disconnect", "auth_timeout"])
async def test_being_cut_off_is_told_and_followed_by_a_new_connection(word):
    async with exchange() as server, running(source(server)) as run:
        caller, before = await opened(server)
        await caller.send([trade(1), status(word, "you are cut off")])
        await run.tick()
        caller, again = await opened(server, 1)
        assert again == before
        assert f"{word}: you are cut off" in run.plugin.conditions()["Disconnected"]
        await caller.send([trade(2)])
        await run.tick()
        assert run.plugin.conditions() == {}


@pytest.mark.parametrize("code", [1000, 1006, 1008])
async def test_any_close_is_followed_by_a_new_connection(code):
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        if code == 1006:
            caller.cut()
        else:
            await caller.close(code)
        caller, _ = await opened(server, 1)
        await caller.send([trade(1)])
        await run.tick()


async def test_a_topic_that_the_account_may_not_have_is_told():
    async with exchange() as server, running(source(server, channels=["T", "Q"])) as run:
        caller = await authenticated(server)
        await caller.request()
        await caller.send([status("error", "not authorized"), trade(1)])
        await run.tick()
        assert run.plugin.conditions() == {"SubscribeRefused": "the exchange said: not authorized"}


async def test_symbols_are_added_and_taken_away_while_it_runs():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send([trade(1)])
        await run.tick()
        assert await run.plugin.subscribe(["GOOGL", "MSFT"])
        assert await caller.request() == {"action": "subscribe", "params": "T.GOOGL,T.MSFT"}
        assert await run.plugin.unsubscribe(["AAPL"])
        assert await caller.request() == {"action": "unsubscribe", "params": "T.AAPL"}
        await caller.send([trade(2), trade(9, "MSFT")])
        assert (await run.tick()).id == "MSFT:4:9"
        await caller.close()
        _, topics = await opened(server, 1)
        assert topics == ["T.GOOGL", "T.MSFT"]


async def test_repeated_and_late_trades_are_dropped_and_counted():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send([trade(1), trade(3), trade(1), trade(2), trade(3), trade(4)])
        assert [tick.id for tick in await run.ticks(3)] == ["AAPL:4:1", "AAPL:4:3", "AAPL:4:4"]
        report = run.plugin.report()
        assert (report["duplicates"], report["late"]) == ({"AAPL": 2}, {"AAPL": 1})


def test_what_a_repeat_is_told_by_is_bounded():
    trail = Trail()
    assert all(trail.take(f"4:{number}", number) for number in range(2 * REMEMBERED))
    assert len(trail._names) == len(trail._order) == REMEMBERED


async def test_a_silent_feed_is_shown_and_replaced():
    async with exchange() as server, running(source(server, stale_seconds=0.2)) as run:
        await opened(server)
        caller, _ = await opened(server, 1)
        assert "no data from 127.0.0.1" in run.plugin.conditions()["FeedStale"]
        await caller.send([trade(1)])
        await run.tick()
        assert run.plugin.conditions() == {}


async def test_one_event_that_cannot_be_read_takes_no_other_along():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send([trade(1), {**trade(2), "p": "much"}, {"ev": "LULD"}, 7, trade(3)])
        await caller.send('{"ev":"T"}', "[", [trade(4)])
        assert [tick.id for tick in await run.ticks(3)] == ["AAPL:4:1", "AAPL:4:3", "AAPL:4:4"]
        assert run.plugin.report()["unread_frames"] == 3


async def test_a_time_that_no_calendar_has_is_passed_over_and_those_after_it_are_not_late():
    async with exchange() as server, running(source(server)) as run:
        caller, _ = await opened(server)
        await caller.send([trade(1)], [trade(2, at=10**17)], [trade(3)])
        assert [tick.id for tick in await run.ticks(2)] == ["AAPL:4:1", "AAPL:4:3"]
        report = run.plugin.report()
        assert (report["unread_frames"], report["late"]) == (1, {})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "api_key is missing"),
        ({"api_key": " "}, "api_key is missing"),
        ({"api_key": "k", "channels": ["Q"]}, "exactly one of T, A and AM"),
        ({"api_key": "k", "channels": ["T", "AM"]}, "exactly one of T, A and AM"),
        ({"api_key": "k", "channels": ["T", "LULD"]}, "channels had LULD"),
        ({"api_key": "k", "stream_url": "socket.polygon.io"}, "stream_url was"),
    ],
)
def test_a_config_that_cannot_work_is_refused(config, words):
    with pytest.raises(ValueError, match=words):
        PolygonData(config).validate_config()


def test_the_manifest_and_the_class_agree():
    manifest = Manifest.model_validate(yaml.safe_load((FOLDER / "plugin.yaml").read_text()))
    said = PolygonData({}).get_metadata()
    assert (said.name, said.version, said.requirements) == (
        manifest.name, manifest.version, manifest.requirements,
    )  # fmt: skip
    assert (manifest.egress, manifest.secrets) == (["socket.polygon.io:443"], ["api_key"])
    fields = manifest.config_schema["properties"]
    config = {name: field["default"] for name, field in fields.items() if "default" in field}
    users = {"api_key": KEY, "symbols": ["AAPL", "GOOGL"]}
    for each in (users, {**config, **users}):
        Draft202012Validator(manifest.config_schema).validate(each)
        assert PolygonData(each).validate_config()
