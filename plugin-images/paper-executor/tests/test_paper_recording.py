"""On the bundled recording: what the executor does is computed anew, by other means."""

import random
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import islice

from bollinger_strategy import BollingerStrategy
from momentum_strategy import MomentumStrategy
from msgspec.structs import replace
from paper_executor import PaperExecutor

from ntp import Fill, MarketData, PluginTester, SignalType
from ntp.contract.launch import Trading
from ntp.contract.messages import ProgressMessage, Side, SignalMessage, TickRef
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.engine.lane import Due, Lane
from ntp.testing import Result
from tests.worlds.market import recording

CONFIG = {"fee_rate": 0.00075, "slippage": 0.0002, "slippage_fixed": 0.01}


@cache
def result_of(strategy: type) -> Result:
    return PluginTester(strategy, executor=PaperExecutor(CONFIG)).run(recording())


def by_hand(messages: list[SignalMessage]) -> list[tuple[str, Side, Fraction, Fraction, Fraction]]:
    """Return tick, side, quantity, price and fee of each fill: long or flat, at the next tick."""
    ticks = recording()
    later: dict[str, MarketData] = {}
    last: dict[str, MarketData] = {}
    for tick in ticks:
        if tick.symbol in last:
            later[last[tick.symbol].id] = tick
        last[tick.symbol] = tick
    held: dict[str, Fraction] = {}
    fills = []
    for message in messages:
        signal = message.signal
        tick = later.get(message.tick.id)
        buying = signal.signal_type is SignalType.BUY
        if buying == (signal.symbol in held) or tick is None:
            continue
        if buying:
            held[signal.symbol] = Fraction(int(Fraction(repr(signal.size)) * 10**8), 10**8)
            quantity, quote, side = held[signal.symbol], Fraction(str(tick.ask)), Side.BUY
        else:
            quantity, quote, side = held.pop(signal.symbol), Fraction(str(tick.bid)), Side.SELL
        slip = quote * Fraction("0.0002") + Fraction("0.01")
        price = quote + slip if buying else quote - slip
        fills.append((tick.id, side, quantity, price, quantity * price * Fraction("0.00075")))
    return fills


def same(fill: Fill, expected: tuple[str, Side, Fraction, Fraction, Fraction]) -> bool:
    tick_id, side, quantity, price, fee = expected
    return (
        (fill.tick_id, fill.side, Fraction(fill.quantity)) == (tick_id, side, quantity)
        and abs(Fraction(fill.price) - price) <= Fraction(1, 10**12)
        and 0 <= Fraction(fill.fee) - fee <= Fraction(2, 10**8)
    )


def check(result: Result, least: int) -> None:
    expected = by_hand(result.messages)
    assert len(result.fills) == len(expected) >= least
    assert all(map(same, sorted(result.fills, key=_row), sorted(expected, key=_row_by_hand)))
    report = result.report["executor"]["test"]
    cash = Fraction(10_000)
    for _, side, quantity, price, fee in expected:
        cash += -quantity * price - fee if side is Side.BUY else quantity * price - fee
    assert abs(Fraction(report["cash"]) - cash) < Fraction(len(expected), 10**7)
    assert report["signals"] == len(result.messages)
    assert report["stale_ticks"] == 0


def _row(fill: Fill) -> tuple[int, Side]:
    return int(fill.tick_id.rpartition(":")[2]), fill.side


def _row_by_hand(fill: tuple) -> tuple[int, Side]:
    return int(fill[0].rpartition(":")[2]), fill[1]


def test_bollinger_fills_are_those_computed_by_hand():
    check(result_of(BollingerStrategy), least=150)


def test_momentum_fills_are_those_computed_by_hand():
    check(result_of(MomentumStrategy), least=90)


SOURCE, LIFE = "recording", "i1"

Heard = tuple[MarketData, int] | SignalMessage | ProgressMessage


def reference(tick: MarketData, seq: int) -> TickRef:
    return TickRef(SOURCE, tick.symbol, seq, tick.id, tick.timestamp, LIFE)


def sent(messages: list[SignalMessage]) -> tuple[list[Heard], list[Heard]]:
    """Return what an executor hears: the numbered ticks, and the strategy's signals and progress."""
    caused: dict[str, list[SignalMessage]] = {}
    for message in messages:
        caused.setdefault(message.tick.id, []).append(message)
    seqs: Counter[str] = Counter()
    feed: list[Heard] = []
    stream: list[Heard] = []
    number = 0
    for tick in recording():
        seqs[tick.symbol] += 1
        cause = reference(tick, seqs[tick.symbol])
        feed.append((tick, cause.seq))
        for message in caused.get(tick.id, []):
            number += 1
            stream.append(replace(message, incarnation="x", number=number, tick=cause))
        if cause.seq % 50 == 0:
            stream.append(ProgressMessage("test", "x", number, cause))
    stream.append(ProgressMessage("test", "x", number, reference(*feed[-1]), end=True))
    return feed, stream


def gusts(feed: list[Heard], stream: list[Heard], seed: int) -> Iterator[Heard]:
    rng = random.Random(seed)  # noqa: S311 - repeatable races
    left = [(iter(feed), 3000), (iter(stream), 100)]
    while left:
        some, most = chosen = rng.choice(left)
        gust = list(islice(some, rng.randrange(1, most)))
        yield from gust
        if not gust:
            left.remove(chosen)


def executed(heard: Iterator[Heard]) -> list[Fill]:
    lane, fills = Lane("test", seen={}), []
    desk = Desk("executor", "test", Trading(), Costs.of(CONFIG))
    for item in heard:
        due: list[Due]
        match item:
            case SignalMessage():
                due = lane.signal(item)
            case ProgressMessage():
                due = lane.progress(item)
            case (tick, seq):
                due = lane.tick(SOURCE, LIFE, tick.symbol, seq, tick)
        for one in due:
            if isinstance(one, SignalMessage):
                desk.signal(one.id, one.signal, one.tick.time)
            elif (change := desk.tick(one)) is not None:
                fills += change.fills
    assert lane.ended
    assert lane.counts.late == 0
    return fills


def test_however_the_messages_race_the_fills_are_the_same():
    """Ticks, signals and progress come in random gusts, as from a network."""
    result = result_of(BollingerStrategy)
    feed, stream = sent(result.messages)
    first = executed(gusts(feed, stream, seed=0))
    assert {fill.id: (fill.price, fill.tick_id) for fill in first} == {
        fill.id: (fill.price, fill.tick_id) for fill in result.fills
    }
    for seed in range(1, 6):
        assert executed(gusts(feed, stream, seed)) == first
