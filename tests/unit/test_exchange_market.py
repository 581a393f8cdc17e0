"""The market behind the streams: chains of ids over loops, derived streams, times, REST."""

import gzip
import itertools
import json
import re
from collections import defaultdict
from decimal import Decimal

import pytest

from ntp.exchange import binance_rest, recording
from ntp.exchange.book import Book, put
from ntp.exchange.candles import NAMES, Candles, span
from ntp.exchange.market import SEAM_NS, Market
from ntp.exchange.pace import Pace
from ntp.exchange.stream_name import KlineName

KINDS = {"trade", "aggTrade", "bookTicker", "depth@100ms", "depth", "depth5", "depth20@100ms", "kline_1s", "kline_1m", "kline_1d@+08:00"}  # fmt: skip
NOW_S = 1_800_000_030.0  # half a minute


@pytest.fixture(scope="module")
def shipped():
    return recording.read(recording.SHIPPED)


def play(recorded, rounds=1, *, speed=1.0, shift=True, kinds=KINDS):
    """Play whole rounds as `Player` does; return the market and (due seconds, event) by stream."""
    pace = Pace(speed, shift, recorded.lead_ms)
    market = Market(recorded, pace)
    events = defaultdict(list)
    pace.start(0.0, NOW_S, recorded.frames[0].at_ns)
    before_ns, gap_ns = recorded.frames[0].at_ns, 0
    for number in range(rounds):
        for frame in recorded.frames:
            due_s = pace.advance(gap_ns + frame.at_ns - before_ns)
            before_ns, gap_ns = frame.at_ns, 0
            for event in market.step(frame, lambda _: kinds):
                events[event.stream].append((due_s, event.data))
        if number + 1 < rounds:
            for event in market.again(lambda _: kinds):
                events[event.stream].append((due_s, event.data))
            before_ns, gap_ns = recorded.frames[0].at_ns, SEAM_NS
    return market, events


@pytest.fixture(scope="module")
def two_rounds(shipped):
    return play(shipped, 2)


def data(events, stream):
    return [item for _, item in events[stream]]


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_every_stream_of_both_symbols_is_there(two_rounds, symbol):
    _, events = two_rounds
    assert {f"{symbol}@{kind}" for kind in KINDS} <= set(events)


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
@pytest.mark.parametrize("kind", ["depth@100ms", "depth"])
def test_update_ids_follow_each_other_over_the_loop(two_rounds, symbol, kind):
    _, events = two_rounds
    updates = data(events, f"{symbol}@{kind}")
    assert len(updates) > (900 if "100" in kind else 90)
    for before, after in itertools.pairwise(updates):
        assert after["U"] == before["u"] + 1
        assert after["E"] >= before["E"]


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_trade_ids_are_consecutive_over_the_loop(two_rounds, symbol):
    _, events = two_rounds
    numbers = [trade["t"] for trade in data(events, f"{symbol}@trade")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_book_tickers_have_no_event_name_and_no_time_and_rise(two_rounds, symbol):
    _, events = two_rounds
    tickers = data(events, f"{symbol}@bookTicker")
    assert set(tickers[0]) == {"u", "s", "b", "B", "a", "A"}
    numbers = [ticker["u"] for ticker in tickers]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
@pytest.mark.parametrize("kind", ["depth@100ms", "depth"])
def test_a_book_synchronised_from_rest_stays_equal_over_the_loop(shipped, two_rounds, symbol, kind):
    market, events = two_rounds
    first = Market(shipped, Pace(1, True))
    status, body = binance_rest.respond(f"/api/v3/depth?symbol={symbol}&limit=5000", first, 0)
    snapshot = json.loads(body)
    assert status == 200
    updates = data(events, f"{symbol.lower()}@{kind}")
    assert updates[0]["U"] <= snapshot["lastUpdateId"] + 1 <= updates[0]["u"]
    bids, asks = dict(snapshot["bids"]), dict(snapshot["asks"])
    for update in updates:
        put(bids, update["b"])
        put(asks, update["a"])
    if kind == "depth":
        assert max(map(float, bids)) < min(map(float, asks))
        return
    last = market.symbols[symbol].book
    assert (bids, asks) == (last.bids, last.asks)
    assert last.last_update == updates[-1]["u"]


def test_the_best_of_the_book_is_what_the_ticker_said(shipped):
    """Two streams that were recorded apart agree where their update ids meet."""
    book = shipped.tracks["BTCUSDT"].book.copy()
    diffs = [f.data() for f in shipped.frames if (f.symbol, f.kind) == ("BTCUSDT", "depthUpdate")]
    tickers = {f.data()["u"]: f.data() for f in shipped.frames if (f.symbol, f.kind) == ("BTCUSDT", "bookTicker")}  # fmt: skip
    met = 0
    for diff in diffs:
        book.apply(diff["u"], diff["b"], diff["a"])
        ticker = tickers.get(diff["u"])
        if ticker is not None:
            met += 1
            bids, asks = book.best(1)
            assert (bids, asks) == ([[ticker["b"], ticker["B"]]], [[ticker["a"], ticker["A"]]])
    assert met > 10


def test_partial_books_are_cut_from_the_book(two_rounds):
    _, events = two_rounds
    fast, slow = data(events, "btcusdt@depth20@100ms"), data(events, "btcusdt@depth5")
    assert set(fast[0]) == {"lastUpdateId", "bids", "asks"}
    assert [len(fast[0]["bids"]), len(slow[0]["asks"])] == [20, 5]
    prices = [float(price) for price, _ in fast[0]["bids"]]
    assert prices == sorted(prices, reverse=True)
    assert 8 < len(fast) / len(slow) < 12


def test_aggregate_trades_add_up_to_the_trades(two_rounds):
    _, events = two_rounds
    trades, orders = data(events, "btcusdt@trade"), data(events, "btcusdt@aggTrade")
    assert [order["a"] for order in orders] == list(range(1, len(orders) + 1))
    assert len(orders) < len(trades)
    by_number = {trade["t"]: trade for trade in trades}
    following = trades[0]["t"]
    for order in orders:
        assert order["f"] == following
        filled = [by_number[number] for number in range(order["f"], order["l"] + 1)]
        assert {(trade["p"], trade["m"]) for trade in filled} == {(order["p"], order["m"])}
        assert sum(Decimal(trade["q"]) for trade in filled) == Decimal(order["q"])
        following = order["l"] + 1
    assert set(orders[0]) == {"e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"}


def test_klines_add_up_to_the_trades(two_rounds):
    _, events = two_rounds
    trades = data(events, "btcusdt@trade")
    minutes = [kline["k"] for kline in data(events, "btcusdt@kline_1m")]
    final = [kline for kline in minutes if kline["x"]]
    (_, minute) = final
    inside = [trade for trade in trades if minute["t"] <= trade["E"] <= minute["T"]]
    prices = [Decimal(trade["p"]) for trade in inside]
    assert (minute["f"], minute["L"], minute["n"]) == (inside[0]["t"], inside[-1]["t"], len(inside))
    assert [Decimal(minute[key]) for key in "ohlc"] == [prices[0], max(prices), min(prices), prices[-1]]  # fmt: skip
    assert Decimal(minute["v"]) == sum(Decimal(trade["q"]) for trade in inside)
    taken = sum(Decimal(trade["q"]) for trade in inside if not trade["m"])
    assert Decimal(minute["V"]) == taken
    assert minute["T"] - minute["t"] == 59_999
    assert 45 < len(minutes) < 56  # 100 s, one every 2 s and the final one
    seconds = [kline["k"] for kline in data(events, "btcusdt@kline_1s")]
    assert sum(kline["x"] for kline in seconds) >= 95
    assert len({kline["t"] for kline in seconds if kline["x"]}) == sum(k["x"] for k in seconds)


def test_a_day_may_be_shifted():
    offset = 8 * 3_600_000
    at = 1_723_161_255_343  # 2024-08-08 23:54:15 UTC
    assert span(KlineName("1d", 0), at)[0] == 1_723_075_200_000
    assert span(KlineName("1d", offset), at)[0] == 1_723_132_800_000  # 2024-08-09 00:00 +08:00
    assert span(KlineName("1w", 0), at)[0] == 1_722_816_000_000  # Monday 2024-08-05
    assert span(KlineName("1M", 0), at) == (1_722_470_400_000, 1_725_148_799_999)
    assert {name.interval for name in NAMES} == set("1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M".split())  # noqa: SIM905  # fmt: skip


def test_an_interval_without_a_trade_repeats_the_last_close():
    candles = Candles()
    candles.trade(1_000, 7, "10.0", "2.0", buyer=True)
    assert candles.current(KlineName("1m", 0)).trades == 1
    list(candles.advance(60_500))
    (empty,) = [candle for name, candle in candles.advance(61_500) if name == KlineName("1s", 0)]
    wire = empty.wire("X", "1s", final=True)
    assert (wire["o"], wire["c"], wire["n"], wire["f"], wire["L"]) == (
        "10.00000000", "10.00000000", 0, -1, -1,
    )  # fmt: skip


@pytest.mark.parametrize("speed", [1.0, 25.0])
def test_event_times_are_now_at_any_speed(shipped, speed):
    _, events = play(shipped, 2, speed=speed)
    for due_s, trade in events["btcusdt@trade"]:
        lag_ms = (NOW_S + due_s) * 1000 - trade["E"]
        assert -1 <= lag_ms < 400
        assert trade["T"] <= trade["E"]
    traded = [trade["T"] for trade in data(events, "btcusdt@trade")]
    assert traded == sorted(traded)


def test_recorded_times_are_kept_where_they_are_not_shifted(shipped):
    _, events = play(shipped, 2, speed=10, shift=False)
    trades = data(events, "btcusdt@trade")
    assert trades[0]["E"] == 1_723_161_255_343
    times = [trade["E"] for trade in trades]
    assert times == sorted(times)
    assert times[-1] - times[0] > 99_000


def test_the_skew_is_in_every_time(shipped):
    pace = Pace(1, True, shipped.lead_ms, skew_s=1.25)
    pace.start(0.0, NOW_S, shipped.frames[0].at_ns)
    assert pace.now_ms(0.0, NOW_S) == NOW_S * 1000 + 1250
    assert pace.event_ms("X", 0, 0.0) == NOW_S * 1000 + 1250


def test_a_burst_plays_its_frames_within_a_second():
    pace = Pace(1, True)
    pace.start(0.0, NOW_S, 0)
    pace.burst(857)
    dues = [pace.advance(10**9) for _ in range(858)]
    assert dues[856] == pytest.approx(1.0)
    assert dues[857] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("depth", 400, -1102),
        ("depth?symbol=NOSUCH", 400, -1121),
        ("depth?symbol=BTCUSDT&limit=ten", 400, -1100),
        ("exchangeInfo?symbol=NOSUCH", 400, -1121),
        ("exchangeInfo?symbols=BTC", 400, -1100),
        ("account", 404, -1000),
    ],
)
def test_rest_refuses_as_binance_does(shipped, path, status, code):
    answer = binance_rest.respond(f"/api/v3/{path}", Market(shipped, Pace(1, True)), 0)
    assert (answer[0], json.loads(answer[1])["code"]) == (status, code)


def test_rest_answers(shipped):
    market = Market(shipped, Pace(1, True))

    def ask(path):
        status, body = binance_rest.respond(f"/api/v3/{path}", market, 1234)
        assert status == 200
        return json.loads(body)

    assert ask("ping") == {}
    assert ask("time") == {"serverTime": 1234}
    assert {symbol["symbol"] for symbol in ask("exchangeInfo")["symbols"]} == {"BTCUSDT", "ETHUSDT"}
    (one,) = ask('exchangeInfo?symbols=["ETHUSDT"]')["symbols"]
    assert (one["baseAsset"], one["quoteAsset"], one["status"]) == ("ETH", "USDT", "TRADING")
    depth = ask("depth?symbol=BTCUSDT&limit=5")
    assert [len(depth["bids"]), len(depth["asks"])] == [5, 5]
    assert len(ask("depth?symbol=BTCUSDT&limit=5000")["bids"]) == 1000


def test_a_recording_of_trades_alone_loops_too(tmp_path):
    lines = [
        '1000000000 {"stream":"abcusdt@trade","data":{"e":"trade","E":900,"s":"ABCUSDT","t":5,"p":"1.0","q":"2.0","T":900,"m":true,"M":true}}',
        '2000000000 {"stream":"abcusdt@other","data":{}}',
    ]
    file = tmp_path / "frames.txt"
    file.write_text("\n".join(lines) + "\n")
    _, events = play(recording.read(file), 3)
    assert [trade["t"] for trade in data(events, "abcusdt@trade")] == [5, 6, 7]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "frames.txt: no such file or directory; write the name of a recording"),
        (b"", "no frame of a trade"),
        (b"hello\n", "frames.txt:1: no line of '<receive time in ns> <frame JSON>'"),
        (b'1 {"stream":"x@trade"}\n', "frames.txt:1: no line of"),
        (b"1 []\n", "frames.txt:1: no line of"),
    ],
)
def test_a_file_that_cannot_be_played_is_told_with_its_place(tmp_path, content, words):
    file = tmp_path / "frames.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(recording.RecordingError, match=re.escape(words)):
        recording.read(file)


def test_a_half_gzip_file_is_told(tmp_path):
    file = tmp_path / "frames.txt.gz"
    file.write_bytes(gzip.compress(b"1 {}\n" * 100)[:-20])
    with pytest.raises(recording.RecordingError, match=r"frames\.txt\.gz"):
        recording.read(file)


def test_a_level_of_nothing_is_removed():
    book = Book()
    book.apply(1, [["1.0", "2.0"], ["1.1", "3.0"]], [])
    book.apply(2, [["1.0", "0.00000000"]], [])
    book.apply(2, [["9.0", "9.0"]], [])
    assert book.bids == {"1.1": "3.0"}
