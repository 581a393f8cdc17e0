"""A strategy at work: ticks in, numbered and sized signals out."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ntp.bars import Bars
from ntp.contract.launch import Trading
from ntp.contract.messages import (
    Fill,
    MarketData,
    ProgressMessage,
    SignalMessage,
    SignalType,
    TickRef,
    TradingSignal,
    signal_id,
)
from ntp.history import SPAN, Tape
from ntp.plugin import StrategyPlugin
from ntp.runner.core import border
from ntp.runner.core.holdings import Holdings
from ntp.runner.core.intake import Intake
from ntp.runner.core.lead import Lead, Run, newest
from ntp.runner.core.objects import Maker
from ntp.runner.core.way import Way


class Made(NamedTuple):
    """A signal, ready to go."""

    message: SignalMessage
    payload: bytes


class StrategyWork:
    """Feeds ticks to the objects of one strategy.

    Args:
        incarnation: of this process life.
        history: length of the window that `analyze` is given.
        clock: monotonic seconds.

    Attributes:
        made: signals that were made and not yet taken away.
        number: signals made in this incarnation.
    """

    def __init__(
        self,
        maker: Maker[StrategyPlugin],
        *,
        incarnation: str,
        history: int,
        trading: Trading,
        refusals: border.Refusals,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._maker = maker
        self._strategy = maker.instance
        self._incarnation = incarnation
        self._history = history
        self._capital = float(trading.capital)
        self._refusals = refusals
        self._clock = clock
        self._spare: StrategyPlugin | None = None
        self._tapes: dict[tuple[str, str | None], Tape] = {}
        self._bars: list[Bars] = []
        self._ended = False
        self.objects: dict[str, StrategyPlugin] = {}
        """By symbol; under "" the one that sees all."""
        self.holdings = Holdings()
        self.made: list[Made] = []
        self.number = 0

    def prepare(self) -> None:
        """Make the first object, so that a config that cannot work is known at once."""
        self._spare = self._new()

    async def start(self) -> None:
        if self._spare is not None:
            await self._maker.initialize(self._spare)

    @property
    def late(self) -> int:
        """Ticks that came after their bar was closed."""
        return sum(bars.late for bars in self._bars)

    async def open(self, lead: Lead) -> None:
        """Make what the ticks of this lead need; before their first `feed`."""
        symbol = lead.edge.symbol
        plugin = await self.object_for(symbol)
        sees = symbol if plugin.per_symbol else None
        ways = []
        for period in lead.bars:
            tape = self._tapes.setdefault((symbol, period), Tape(self._history))
            bars = Bars(period) if period else None
            if bars is not None:
                self._bars.append(bars)
            restored = self._maker.restored(sees or "")
            ways.append(Way(plugin, tape, bars, sees, restored=restored))
        lead.work = ways

    async def object_for(self, symbol: str) -> StrategyPlugin:
        """Return the object that sees this symbol, made now if need be."""
        some = self._spare or next(iter(self.objects.values()))
        key = symbol if some.per_symbol else ""
        plugin = self.objects.get(key)
        if plugin is None:
            plugin, self._spare = self._spare, None
            if plugin is None:
                plugin = self._new()
                await self._maker.initialize(plugin)
            if refusal := self._maker.restore(plugin, key):
                self._refusals.note(refusal)
                plugin = self._new()
                await self._maker.initialize(plugin)
            self.objects[key] = plugin
        return plugin

    def _new(self) -> StrategyPlugin:
        plugin = self._maker.new()
        plugin._position = self.holdings.position  # noqa: SLF001 - the runner sets it
        return plugin

    def feed(self, run: Run, start: int, until: float, stop: int | None = None) -> int:
        """Analyse ticks of a run from index `start` on, until a time; return the next index.

        `stop`: the index to end before. What the plugin raises goes through to the caller.
        """
        ways: list[Way] = run.lead.work
        next_at = start
        if start < len(run.ticks):
            end = len(run.ticks) if stop is None else stop
            if len(ways) == 1 and ways[0].bars is None:
                at = self._each_tick(ways[0], run, range(start, end), until)
            else:
                at = self._each_way(ways, run, range(start, end), until)
            run.done(at)
            next_at = at + 1
        if run.end and next_at == len(run.ticks):
            self._end(run)
        return next_at

    def show(self, run: Run, start: int, until: float) -> int:
        """Show ticks of an earlier life; an object that knows them finds them in its history alone."""
        at = start
        for at in range(start, len(run.ticks)):
            for way in run.lead.work:
                data = way.shown(run.ticks[at])
                if data is not None and way.restored:
                    way.tape.append(data)
                elif data is not None:
                    self._analyse(way, data, run, at)
            if self._clock() >= until:
                break
        if start < len(run.ticks):
            run.done(at)
            at += 1
        return at

    def _each_tick(self, way: Way, run: Run, which: range, until: float) -> int:
        """Do what `_each_way` does for the usual case, with nothing in the loop that can be outside."""
        ticks, clock, at = run.ticks, self._clock, which.start
        analyze, update, tape, write = way.analyze, way.update, way.tape, way.tape.write
        for first in range(which.start, which.stop, SPAN):
            try:
                for at in range(first, min(first + SPAN, which.stop)):
                    tick = ticks[at]
                    if update is not None:
                        update(tick)
                    result = analyze(tick, tape)
                    write(tick)
                    if result is not None:
                        self._take(result, way, run.reference(at), tick)
                    if clock() >= until:
                        return at
            finally:
                tape.trim()
        return at

    def _each_way(self, ways: list[Way], run: Run, which: range, until: float) -> int:
        at = which.start
        for at in which:
            tick = run.ticks[at]
            for way in ways:
                data = way.shown(tick)
                if data is not None:
                    self._analyse(way, data, run, at)
            if self._clock() >= until:
                break
        return at

    def _analyse(self, way: Way, data: MarketData, run: Run, at: int | None) -> None:
        """Show a tick or a bar to an object; `at` None: it closed because the data ended."""
        if way.update is not None:
            way.update(data)
        result = way.analyze(data, way.tape)
        way.tape.append(data)
        if result is not None:
            cause = run.lead.reference() if at is None else run.reference(at)
            if cause is not None:
                self._take(result, way, cause, data)

    def _end(self, run: Run) -> None:
        """Close the bars that are still open."""
        for way in run.lead.work:
            bar = None if way.bars is None else way.bars.end()
            if bar is not None:
                self._analyse(way, bar, run, None)

    def _take(self, result: object, way: Way, cause: TickRef, data: MarketData) -> None:
        several = result if isinstance(result, list | tuple) else (result,)
        for ordinal, one in enumerate(several):
            try:
                signal = self._size(border.signal(one, way.sees), one, way.plugin)
                name = self._name(cause.source, data.id, signal.symbol, ordinal)
                self._send(name, cause, signal)
            except border.RefusedError as error:
                self._refusals.note(error)

    def _size(
        self, signal: TradingSignal, given: TradingSignal, plugin: StrategyPlugin
    ) -> TradingSignal:
        if signal.size is not None or signal.signal_type is SignalType.HOLD:
            return signal
        worth = plugin.calculate_position_size(given, self._capital)
        return border.sized(signal, border.base_units(worth, signal.price))

    def _name(self, source: str, tick_id: str, symbol: str, ordinal: int) -> str:
        # Two exchanges may give the same id to different trades: the source is part of the name.
        mark = f"{source}:"
        named = tick_id if tick_id.startswith(mark) else mark + tick_id
        return signal_id(self._strategy, symbol, named, ordinal)

    def _send(self, name: str, reference: TickRef, signal: TradingSignal) -> None:
        message = SignalMessage(
            id=name,
            strategy=self._strategy,
            incarnation=self._incarnation,
            number=self.number + 1,
            tick=reference,
            signal=signal,
        )
        payload = border.encoded(message)
        self.number += 1
        self.made.append(Made(message, payload))

    def forget(self) -> list[SignalMessage]:
        """Take away what was made, and count as if it never was."""
        made, self.made = self.made, []
        self.number -= len(made)
        return [message for message, _ in made]

    def progress(self, intake: Intake) -> list[ProgressMessage]:
        """Return how far each input has come since the last call; last of all the end, once."""
        told = []
        for lead in intake.leads.values():
            come = (lead.incarnation, lead.analysed)
            reference = lead.reference()
            if reference is not None and come != lead.told:
                lead.told = come
                told.append(self._progress(reference, end=False))
        ended = intake.ended
        if ended and not self._ended:
            last = newest(intake.leads.values())
            told.append(self._progress(last, end=True))
        self._ended = ended
        return told

    def _progress(self, reference: TickRef, *, end: bool) -> ProgressMessage:
        return ProgressMessage(self._strategy, self._incarnation, self.number, reference, end)

    async def fill(self, fill: Fill) -> bool:
        """Take note of an execution, and tell the object that trades the symbol; False: known already."""
        if not self.holdings.apply(fill):
            return False
        plugin = await self.object_for(fill.symbol)
        plugin.on_fill(fill)
        return True

    def indicators(self) -> dict[str, dict[str, float]]:
        """Return get_indicators() of each object, refused where it is not numbers."""
        shown = {}
        for symbol, plugin in self.objects.items():
            try:
                values = border.value(plugin.get_indicators())
            except border.RefusedError as error:
                self._refusals.note(f"get_indicators(): {error}")
                continue
            if isinstance(values, dict) and values:
                shown[symbol] = values
        return shown

    def all(self) -> Iterable[StrategyPlugin]:
        """Return every object, the one that nobody needed yet too."""
        return [*self.objects.values(), *([self._spare] if self._spare else [])]
