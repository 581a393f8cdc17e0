"""The drawings of a page as data, small enough to be sent by mail.

Times are whole ms since the run's start, values whole units of their last decimal; both as differences
from the one before, which are short. page.js draws them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ntp.contract.messages import Fill, Side, SignalMessage, SignalType
from ntp.page import figures
from ntp.page.account import Account
from ntp.page.run import Run, Track
from ntp.page.thin import spread, thin
from ntp.statistics.assessment import Unit
from ntp.statistics.line import Line

MOST_CHARTS = 40
"""Symbols that are drawn: those with most fills and signals."""
MOST_POINTS = 80_000
"""Of all lines of a page together."""
MOST_MARKS = 6_000
"""Of all drawings of a page together."""
FEWEST = 400
"""Points that a line may have in any case."""

_SIGNAL = {SignalType.BUY: 0, SignalType.SELL: 1, SignalType.HOLD: 2}
_FILL = {Side.BUY: 3, Side.SELL: 4}
_DONE = {Side.BUY: "bought", Side.SELL: "sold"}


@dataclass(frozen=True, slots=True)
class Chart:
    """`spoken`: what somebody hears who cannot see it."""

    title: str
    spoken: str
    source: str = ""
    note: str = ""
    words: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Charts:
    """`start`, `end`: Unix seconds. `left_out`: symbols that are not drawn."""

    start: float
    end: float
    prices: Sequence[Chart]
    equity: Sequence[Chart]
    over_time: Sequence[Chart]
    """Drawdown, exposure and the rolling Sharpe ratio."""
    left_out: int

    @property
    def all(self) -> Sequence[Chart]:
        return [*self.prices, *self.equity, *self.over_time]


def charts(run: Run, accounts: Sequence[Account]) -> Charts:
    """Return what is to be drawn."""
    times = [
        at
        for track in run.tracks
        if len(track)
        for at in track.points()[0][:: len(track.points()[0]) - 1 or 1]
    ]
    times += [message.tick.time.timestamp() for message in run.signals]
    times += [fill.time.timestamp() for fill in run.fills]
    start, end = min(times, default=0.0), max(times, default=0.0)
    busy = _busiest(run)
    lines = len(busy) + 5 * len(accounts)
    points = max(MOST_POINTS // max(lines, 1), FEWEST)
    drawing = _Drawing(run, start, points)
    traded = [account for account in accounts if account.assessment.line.times]
    return Charts(
        start=start,
        end=end,
        prices=[drawing.price(track, MOST_MARKS // len(busy)) for track in busy],
        equity=[drawing.equity(account) for account in traded],
        over_time=drawing.over_time(traded) if traded else [],
        left_out=sum(1 for track in run.tracks if len(track)) - len(busy),
    )


def _busiest(run: Run) -> list[Track]:
    """Return the tracks that are drawn, in the order in which they are given."""
    acts: dict[str, int] = {}
    for symbol in [m.signal.symbol for m in run.signals] + [f.symbol for f in run.fills]:
        acts[symbol] = acts.get(symbol, 0) + 1
    there = [track for track in run.tracks if len(track)]
    first = sorted(there, key=lambda track: -acts.get(track.symbol, 0))[:MOST_CHARTS]
    kept = set(map(id, first))
    return [track for track in there if id(track) in kept]


class _Drawing:
    def __init__(self, run: Run, start: float, points: int) -> None:
        self._run = run
        self._start = start
        self._points = points
        self._order = {name: at for at, name in enumerate(run.strategies)}
        self._sources = {message.id: message.tick.source for message in run.signals}

    def price(self, track: Track, most: int) -> Chart:
        """Return a symbol's prices with what was signalled and done at them."""
        times, prices = track.points()
        decimals = figures.decimals(spread(prices, 1000))
        signals, fills = self._of(track)
        shown_fills = spread(fills, max(most * 2 // 3, most - len(signals)))
        shown_signals = spread(signals, most - len(shown_fills))
        marks = [self._signalled(message, decimals) for message in shown_signals]
        marks += [self._filled(fill, decimals) for fill in shown_fills]
        marks.sort()
        words = f"{figures.count(len(track))} ticks, {figures.count(len(signals))} signals, {figures.count(len(fills))} fills"
        if len(marks) < len(signals) + len(fills):
            words += f"; {figures.count(len(shown_signals))} signals and {figures.count(len(shown_fills))} fills are marked, evenly spread"
        return Chart(
            title=track.symbol,
            source=track.source,
            note=track.note,
            words=words,
            spoken=f"price of {track.symbol}{f' ({track.note})' if track.note else ''}, "
            f"from {figures.price(prices[0], decimals)} to {figures.price(prices[-1], decimals)}; {words}",
            data={
                "decimals": decimals,
                "note": track.note,
                "lines": [self._line("price", Line(times, prices), decimals)],
                "marks": marks,
            },
        )

    def _of(self, track: Track) -> tuple[list[SignalMessage], list[Fill]]:
        """Return what belongs to these prices; where several sources have the symbol, to this one's."""
        signals = [m for m in self._run.signals if m.signal.symbol == track.symbol]
        fills = [fill for fill in self._run.fills if fill.symbol == track.symbol]
        if sum(other.symbol == track.symbol for other in self._run.tracks) > 1:
            signals = [m for m in signals if m.tick.source == track.source]
            fills = [f for f in fills if self._sources.get(f.signal_id) == track.source]
        return signals, fills

    def equity(self, account: Account) -> Chart:
        """Return what a strategy was worth, after fees and before them."""
        number = self._order[account.strategy]
        return Chart(
            title=account.strategy,
            words="solid: equity; dashed: the same before fees",
            spoken=f"equity of {account.strategy}, from {figures.amount(account.capital)} to "
            f"{figures.amount(account.equity)}; fees {figures.amount(account.fees)}",
            data={
                "decimals": 2,
                "lines": [
                    self._line("before fees", account.before_fees, 2, number, dashed=True),
                    self._line("equity", account.assessment.line, 2, number),
                ],
            },
        )

    def over_time(self, accounts: Sequence[Account]) -> Sequence[Chart]:
        """Return what all strategies are drawn into together."""
        deepest = [
            (each.strategy, float(str(each.assessment["max_drawdown"]))) for each in accounts
        ]
        longest = max(accounts, key=lambda each: len(each.assessment.rolling)).assessment
        found = [
            self._together(
                "Drawdown",
                "fall from the highest equity so far",
                "drawdown; the deepest: " + ", ".join(f"{name} {figures.share(fall)}" for name, fall in deepest),
                [(each.strategy, _times(each.drawdown, -100)) for each in accounts],
                unit="%", area=True,
            ),
            self._together(
                "Exposure",
                "worth of what is held, long and short added up, as a share of equity",
                "exposure; time in the market: " + ", ".join(
                    f"{each.strategy} {figures.told(each.assessment['exposure'], Unit.SHARE)}" for each in accounts
                ),
                [(each.strategy, _times(each.assessment.exposure, 100)) for each in accounts],
                unit="%", area=True,
            ),
        ]  # fmt: skip
        if len(longest.rolling) > 1:
            words = f"of {longest.window} returns of a {longest.period.name} each, a year"
            drawn = [(each.strategy, each.assessment.rolling) for each in accounts]
            found.append(
                self._together(
                    "Rolling Sharpe ratio", words, f"rolling Sharpe ratio {words}", drawn
                )
            )
        return found

    def _together(
        self, title: str, words: str, spoken: str, lines: Sequence[tuple[str, Line]],
        *, unit: str = "", area: bool = False,
    ) -> Chart:  # fmt: skip
        drawn = [
            self._line(name, line, 3, self._order[name], area=area)
            for name, line in lines
            if len(line)
        ]
        return Chart(
            title,
            spoken,
            words=words,
            data={"decimals": 2, "unit": unit, "zero": True, "lines": drawn},
        )

    def _line(
        self,
        name: str,
        line: Line,
        decimals: int,
        strategy: int = -1,
        *,
        dashed: bool = False,
        area: bool = False,
    ) -> Mapping[str, Any]:
        kept = thin(line.values, self._points)
        scale = 10**decimals
        return {
            "name": name,
            "strategy": strategy,
            "dashed": dashed,
            "area": area,
            "t": _differences(self._ms(line.times[at]) for at in kept),
            "v": _differences(round(line.values[at] * scale) for at in kept),
            "scale": decimals,
        }

    def _signalled(self, message: SignalMessage, decimals: int) -> list[Any]:
        signal = message.signal
        words = f"{message.strategy}: {signal.signal_type} signal at {figures.price(signal.price, decimals)}, confidence {signal.confidence:.2f}"
        at = self._ms(message.tick.time.timestamp())
        return [at, signal.price, _SIGNAL[signal.signal_type], self._order[message.strategy], words]

    def _filled(self, fill: Fill, decimals: int) -> list[Any]:
        # Spread and slippage lead to decimals that the exchange does not have.
        price = figures.price(fill.price, decimals + 2)
        words = f"{fill.strategy}: {_DONE[fill.side]} {figures.quantity(fill.quantity)} at {price}, fee {figures.amount(fill.fee)}"
        if fill.realised:
            words += f", realised {figures.gain(fill.realised)} before fees"
        if fill.reason.value != "signal":
            words += f" ({fill.reason.value.replace('_', ' ')})"
        at = self._ms(fill.time.timestamp())
        return [at, float(fill.price), _FILL[fill.side], self._order[fill.strategy], words]

    def _ms(self, at: float) -> int:
        return round((at - self._start) * 1000)


def _times(line: Line, factor: float) -> Line:
    return Line(line.times, [value * factor for value in line.values])


def _differences(values: Iterable[int]) -> list[int]:
    """Return the first one, then how each differs from the one before."""
    return list(_steps(values))


def _steps(values: Iterable[int]) -> Iterator[int]:
    for before, value in pairwise([0, *values]):
        yield value - before
