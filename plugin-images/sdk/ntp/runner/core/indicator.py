"""An indicator at work: ticks in, a value for each of them out."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ntp.bars import Bars
from ntp.contract.messages import IndicatorBatch, MarketData
from ntp.plugin import IndicatorPlugin
from ntp.runner.core import border
from ntp.runner.core.lead import Lead, Run, Value
from ntp.runner.core.objects import Maker


class _Gauge:
    """One object on one symbol of one source; with bars the value stands until the next bar."""

    __slots__ = ("bars", "plugin", "restored", "standing")

    def __init__(self, plugin: IndicatorPlugin, bars: Bars | None, *, restored: bool) -> None:
        self.plugin = plugin
        self.restored = restored
        self.bars = bars
        self.standing: Value = None


@dataclass(slots=True)
class _Stand:
    """How far one symbol of one source is valued: the next value will be that of tick `seq`."""

    incarnation: str
    seq: int
    quiet: bool = False
    """Nothing was made since the last watermark."""


class IndicatorWork:
    """Feeds ticks to the objects of one indicator.

    Attributes:
        made: batches of values that were made and not yet taken away, with their payload.
    """

    def __init__(
        self,
        maker: Maker[IndicatorPlugin],
        *,
        incarnation: str,
        refusals: border.Refusals,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._maker = maker
        self._incarnation = incarnation
        self._refusals = refusals
        self._clock = clock
        self._spare: IndicatorPlugin | None = None
        self.objects: dict[tuple[str, str], IndicatorPlugin] = {}
        """By source and symbol; under ("", "") the one that sees all."""
        self.made: list[tuple[IndicatorBatch, bytes]] = []
        self._stands: dict[tuple[str, str], _Stand] = {}

    def prepare(self) -> None:
        """Make the first object, so that a config that cannot work is known at once."""
        self._spare = self._maker.new()

    async def start(self) -> None:
        if self._spare is not None:
            await self._maker.initialize(self._spare)

    async def open(self, lead: Lead) -> None:
        """Make what the ticks of this lead need; before their first `feed`."""
        some = self._spare or next(iter(self.objects.values()))
        key = (lead.edge.source, lead.edge.symbol) if some.per_symbol else ("", "")
        plugin = self.objects.get(key)
        if plugin is None:
            plugin, self._spare = self._spare, None
            if plugin is None:
                plugin = self._maker.new()
                await self._maker.initialize(plugin)
            if refusal := self._maker.restore(plugin, "/".join(key)):
                self._refusals.note(refusal)
                plugin = self._maker.new()
                await self._maker.initialize(plugin)
            self.objects[key] = plugin
        period = lead.bars[0]
        restored = self._maker.restored("/".join(key))
        lead.work = _Gauge(plugin, Bars(period) if period else None, restored=restored)

    def feed(self, run: Run, start: int, until: float) -> int:
        """Value ticks of a run from index `start` on, until a time; return the next index."""
        gauge: _Gauge = run.lead.work
        ticks, clock = run.ticks, self._clock
        values: list[Value] = []
        at = start
        for at in range(start, len(ticks)):
            tick = ticks[at]
            if gauge.bars is None:
                gauge.standing = self._value(gauge, tick)
            else:
                bar = gauge.bars.add(tick)
                if bar is not None:
                    gauge.standing = self._value(gauge, bar)
            values.append(gauge.standing)
            if clock() >= until:
                break
        if values:
            run.done(at)
            at += 1
            self._send(run, run.seq + start, values)
        return at

    def show(self, run: Run, start: int, until: float) -> int:
        """Show ticks of an earlier life; an object that knows them already is spared them."""
        gauge: _Gauge = run.lead.work
        if not gauge.restored:
            return self.feed(run, start, until)
        for tick in run.ticks[start:]:
            if gauge.bars is not None:
                gauge.bars.add(tick)
        if run.ticks:
            run.done(len(run.ticks) - 1)
        return len(run.ticks)

    def _value(self, gauge: _Gauge, data: MarketData) -> Value:
        result = gauge.plugin.update(data)
        if result is None or (type(result) is float and result - result == 0.0):
            return result
        try:
            return border.value(result)
        except border.RefusedError as error:
            self._refusals.note(error)
            return None

    def _send(self, run: Run, seq: int, values: list[Value]) -> None:
        edge = run.lead.edge
        stand = _Stand(run.incarnation, seq + len(values))
        batch = self._batch((edge.source, edge.symbol), run.incarnation, seq, values)
        try:
            self.made.append((batch, border.encoded(batch)))
            self._stands[edge.source, edge.symbol] = stand
        except border.RefusedError as error:  # too long: halves tell which value it is
            if len(values) > 1:
                half = len(values) // 2
                self._send(run, seq, values[:half])
                self._send(run, seq + half, values[half:])
            else:
                self._refusals.note(error)
                self._send(run, seq, [None])

    def forget(self) -> tuple[()]:
        """Drop what was made; values for later ticks go on from here."""
        self.made.clear()
        return ()

    def watermarks(self) -> Iterator[tuple[IndicatorBatch, bytes]]:
        """Yield where each symbol stands that was quiet since the last call."""
        for key, stand in self._stands.items():
            if stand.quiet:
                batch = self._batch(key, stand.incarnation, stand.seq, [])
                yield batch, border.encoded(batch)
            stand.quiet = True

    def _batch(
        self, of: tuple[str, str], source_incarnation: str, seq: int, values: list[Value]
    ) -> IndicatorBatch:
        source, symbol = of
        return IndicatorBatch(
            indicator=self._maker.instance,
            incarnation=self._incarnation,
            source=source,
            source_incarnation=source_incarnation,
            symbol=symbol,
            seq=seq,
            values=values,
        )

    def all(self) -> Iterable[IndicatorPlugin]:
        """Return every object, the one that nobody needed yet too."""
        return [*self.objects.values(), *([self._spare] if self._spare else [])]
