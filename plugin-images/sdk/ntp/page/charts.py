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
    drawdown: Sequence[Chart]
    left_out: int

    @property
    def all(self) -> Sequence[Chart]:
        return [*self.prices, *self.equity, *self.drawdown]


def charts(run: Run, accounts: Sequence[Account]) -> Charts:
    """Return what is to be drawn."""
    times = [
        each for track in run.tracks if len(track) for each in (track.times[0], track.times[-1])
    ]
    times += [message.tick.time.timestamp() for message in run.signals]
    times += [fill.time.timestamp() for fill in run.fills]
    start, end = min(times, default=0.0), max(times, default=0.0)
    busy = _busiest(run)
    lines = len(busy) + 3 * len(accounts)
    points = max(MOST_POINTS // max(lines, 1), FEWEST)
    drawing = _Drawing(run, start, points)
    traded = [account for account in accounts if account.curve.times]
    return Charts(
        start=start,
        end=end,
        prices=[drawing.price(track, MOST_MARKS // len(busy)) for track in busy],
        equity=[drawing.equity(account) for account in traded],
        drawdown=[drawing.drawdown(traded)] if traded else [],
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
        decimals = figures.decimals(spread(track.prices, 1000))
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
            f"from {figures.price(track.prices[0], decimals)} to {figures.price(track.prices[-1], decimals)}; {words}",
            data={
                "decimals": decimals,
                "note": track.note,
                "lines": [self._line("price", track.times, track.prices, decimals)],
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
        curve = account.curve
        return Chart(
            title=account.strategy,
            words="solid: equity; dashed: the same before fees",
            spoken=f"equity of {account.strategy}, from {figures.amount(account.capital)} to "
            f"{figures.amount(account.equity)}; fees {figures.amount(account.fees)}",
            data={
                "decimals": 2,
                "lines": [
                    self._line(
                        "before fees",
                        curve.times,
                        curve.before_fees,
                        2,
                        strategy=number,
                        dashed=True,
                    ),
                    self._line("equity", curve.times, curve.equity, 2, strategy=number),
                ],
            },
        )

    def drawdown(self, accounts: Sequence[Account]) -> Chart:
        """Return the fall of each strategy from its highest equity, in per cent, downwards."""
        deepest = {each.strategy: max(each.drawdown, default=0.0) for each in accounts}
        spoken = ", ".join(f"{name} {figures.share(fall)}" for name, fall in deepest.items())
        return Chart(
            title="Drawdown",
            words="fall from the highest equity so far, at each tick",
            spoken=f"drawdown; the deepest: {spoken}",
            data={
                "decimals": 4,
                "unit": "%",
                "lines": [
                    self._line(
                        each.strategy,
                        each.curve.times,
                        [-100 * fall for fall in each.drawdown],
                        4,
                        strategy=self._order[each.strategy],
                    )
                    for each in accounts
                ],
            },
        )

    def _line(
        self,
        name: str,
        times: Sequence[float],
        values: Sequence[float],
        decimals: int,
        *,
        strategy: int = -1,
        dashed: bool = False,
    ) -> Mapping[str, Any]:
        kept = thin(values, self._points)
        scale = 10**decimals
        return {
            "name": name,
            "strategy": strategy,
            "dashed": dashed,
            "t": _differences(self._ms(times[at]) for at in kept),
            "v": _differences(round(values[at] * scale) for at in kept),
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


def _differences(values: Iterable[int]) -> list[int]:
    """Return the first one, then how each differs from the one before."""
    return list(_steps(values))


def _steps(values: Iterable[int]) -> Iterator[int]:
    for before, value in pairwise([0, *values]):
        yield value - before
