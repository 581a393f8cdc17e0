"""However ticks, signals and progress race, an executor applies them in one order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ntp.contract.messages import (
    MarketData,
    ProgressMessage,
    SignalMessage,
    SignalType,
    TickRef,
    TradingSignal,
)
from ntp.engine.lane import Due, Lane

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Tick:
    source: str
    incarnation: str
    symbol: str
    seq: int

    @property
    def id(self) -> str:
        return f"{self.source}/{self.incarnation}/{self.symbol}/{self.seq}"

    @property
    def time(self) -> datetime:
        """The second life of a source goes on after its first."""
        return NOW + timedelta(days=int(self.incarnation[1:]), seconds=self.seq)

    def feed(self, lane: Lane) -> list[Due]:
        data = MarketData(self.time, self.symbol, 1.0, 1.0, id=self.id)
        return lane.tick(self.source, self.incarnation, self.symbol, self.seq, data)

    def ref(self) -> TickRef:
        return TickRef(self.source, self.symbol, self.seq, self.id, self.time, self.incarnation)


@dataclass(frozen=True)
class World:
    """What was sent. The executor's feed brings `heard`; the strategy analysed the ticks in its own order."""

    heard: list[Tick]
    signals: list[SignalMessage]
    progress: list[ProgressMessage]
    stream: list[SignalMessage | ProgressMessage]
    """Both in the order in which the strategy sent them."""


def interleave(draw: st.DrawFn, *sequences: list) -> Iterator:
    waiting = [list(reversed(s)) for s in sequences if s]
    while waiting:
        chosen = draw(st.integers(0, len(waiting) - 1))
        yield waiting[chosen].pop()
        if not waiting[chosen]:
            waiting.pop(chosen)


def order_of_arrival(draw: st.DrawFn, ticks: list[Tick]) -> list[Tick]:
    """Order a source's two symbols anew, but never across its incarnations or within a symbol."""
    lanes: dict[str, list[Tick]] = {}
    for source in sorted({t.source for t in ticks}):
        merged: list[Tick] = []
        for incarnation in ("i1", "i2"):
            by_symbol = [
                [
                    t
                    for t in ticks
                    if (t.source, t.incarnation, t.symbol) == (source, incarnation, s)
                ]
                for s in ("A", "B")
            ]
            merged += interleave(draw, *by_symbol)
        lanes[source] = merged
    return list(interleave(draw, *lanes.values()))


@st.composite
def worlds(draw: st.DrawFn, *, losses: bool) -> World:
    ticks = [
        Tick(source, incarnation, symbol, seq)
        for source in ("s1", "s2")
        for incarnation in ("i1", "i2")
        for symbol in ("A", "B")
        for seq in range(1, 1 + draw(st.integers(0, 4)))
    ]
    kept = (lambda: [t for t in ticks if draw(st.integers(0, 4))]) if losses else (lambda: ticks)
    heard = order_of_arrival(draw, kept())
    number = 0
    last = TickRef("", "", 0, "", NOW)
    stream: list[SignalMessage | ProgressMessage] = []
    for tick in order_of_arrival(draw, kept()):
        last = tick.ref()
        for ordinal in range(draw(st.sampled_from([0, 0, 1, 2]))):
            number += 1
            wish = TradingSignal(tick.symbol, SignalType.BUY, 0.5, 1.0)
            stream.append(SignalMessage(f"{tick.id}:{ordinal}", "st", "x", number, last, wish))
        if draw(st.booleans()):
            stream.append(ProgressMessage("st", "x", number, last))
    stream.append(ProgressMessage("st", "x", number, last, end=True))
    return World(
        heard,
        [m for m in stream if isinstance(m, SignalMessage)],
        [m for m in stream if isinstance(m, ProgressMessage)],
        stream,
    )


def run(lane: Lane, inputs: list) -> list[str]:
    due: list[Due] = []
    for item in inputs:
        match item:
            case Tick():
                due += item.feed(lane)
            case SignalMessage():
                due += lane.signal(item)
            case ProgressMessage():
                due += lane.progress(item)
    due += lane.expire(0.0, 5.0)
    due += lane.expire(10.0, 5.0)
    assert lane.ended
    return [f"signal {d.id}" if isinstance(d, SignalMessage) else f"tick {d.id}" for d in due]


def expected(world: World) -> list[str]:
    """What the words of the module say, computed the slow way from the whole world at once."""
    order: list[str] = []
    left = list(world.signals)

    def take(those: Callable[[TickRef], bool]) -> None:
        for message in [m for m in left if those(m.tick)]:
            left.remove(message)
            order.append(f"signal {message.id}")

    for tick in world.heard:
        same = (tick.source, tick.symbol, tick.incarnation)
        take(
            lambda r, s=same, t=tick: (
                (r.source, r.symbol) == s[:2] and r.incarnation != s[2] and r.time < t.time
            )
        )
        take(lambda r, s=same, t=tick: (r.source, r.symbol, r.incarnation) == s and r.seq < t.seq)
        order.append(f"tick {tick.id}")
        take(lambda r, t=tick: r.id == t.id)
    take(lambda _: True)
    return order


@settings(max_examples=200)
@given(st.data())
def test_every_race_gives_the_same_order(data: st.DataObject) -> None:
    world = data.draw(worlds(losses=False))
    raced = list(interleave(data.draw, world.heard, world.signals, world.progress))
    lane = Lane("st", seen={})
    assert run(lane, raced) == expected(world)
    assert (lane.counts.late, lane.counts.missing, lane.counts.overrun) == (0, 0, 0)


@settings(max_examples=200)
@given(st.data())
def test_ticks_that_either_side_lost_change_nothing_but_the_count(data: st.DataObject) -> None:
    world = data.draw(worlds(losses=True))
    raced = list(interleave(data.draw, world.heard, world.signals, world.progress))
    lane = Lane("st", seen={})
    assert run(lane, raced) == expected(world)
    heard = {tick.id for tick in world.heard}
    assert lane.counts.late == sum(message.tick.id not in heard for message in world.signals)


@settings(max_examples=200)
@given(st.data())
def test_repetitions_change_nothing(data: st.DataObject) -> None:
    world = data.draw(worlds(losses=True))
    raced = list(interleave(data.draw, world.heard, world.stream))
    again = [copy for item in raced for copy in [item] * data.draw(st.integers(1, 2))]
    assert run(Lane("st"), again) == expected(world)
