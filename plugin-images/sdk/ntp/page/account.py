"""What fills and prices come to: totals in decimals, and curves to look at.

The same sums as an executor's book (which rounds each amount to 1e-8), from what can be heard of it.
"""

import heapq
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest
from operator import itemgetter

from ntp.contract.messages import Fill, MarketData, Side
from ntp.page.run import Run, Track
from ntp.statistics import Assessment, EquityCurve, assess
from ntp.statistics.line import Line

ZERO = Decimal(0)


@dataclass(slots=True)
class Holding:
    """What one strategy did with one symbol. Amounts in quote currency, quantity in base units."""

    quantity: Decimal = ZERO
    flow: Decimal = ZERO
    """Received for sales less paid for purchases, fees aside."""
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    fills: int = 0

    def take(self, fill: Fill) -> None:
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        self.quantity += signed
        self.flow -= signed * fill.price
        self.realised += fill.realised
        self.fees += fill.fee
        self.fills += 1

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return what leaving at `mark` would add to what was realised."""
        return self.flow + self.quantity * mark - self.realised


@dataclass(frozen=True, slots=True)
class Account:
    """One strategy's. `marks`: the last price of each symbol in `holdings`; its first fill's where no
    tick came.
    """

    strategy: str
    capital: Decimal
    holdings: Mapping[str, Holding]
    marks: Mapping[str, Decimal]
    assessment: Assessment

    def unrealised_of(self, symbol: str) -> Decimal:
        return self.holdings[symbol].unrealised(self.marks[symbol])

    @property
    def realised(self) -> Decimal:
        return sum((held.realised for held in self.holdings.values()), ZERO)

    @property
    def unrealised(self) -> Decimal:
        return sum(map(self.unrealised_of, self.holdings), ZERO)

    @property
    def fees(self) -> Decimal:
        return sum((held.fees for held in self.holdings.values()), ZERO)

    @property
    def fills(self) -> int:
        return sum(held.fills for held in self.holdings.values())

    @property
    def equity(self) -> Decimal:
        return self.capital + self.realised + self.unrealised - self.fees

    @property
    def before_fees(self) -> Line:
        """Equity with all fees so far given back."""
        line, fees = self.assessment.line, self.assessment.fees
        found = array("d")
        for (at, equity), after in zip_longest(
            zip(line.times, line.values, strict=True), line.times[1:]
        ):
            # Of points of one moment only the last has paid what was filled then.
            number = (bisect_left if at == after else bisect_right)(fees.times, at)
            found.append(equity + (fees.values[number - 1] if number else 0.0))
        return Line(line.times, found)

    @property
    def drawdown(self) -> Line:
        """The fall from the highest equity so far, as a share of it, at each point of the line."""
        line = self.assessment.line
        return Line(line.times, falls(line.values, float(self.capital)))


def falls(equity: Sequence[float], first: float) -> Sequence[float]:
    """Return the fall from a peak at each point; `first` is the first peak. All are 0 or above."""
    found = array("d")
    peak = first
    for value in equity:
        peak = max(peak, value)
        found.append((peak - value) / peak)
    return found


def accounts(run: Run) -> list[Account]:
    """Return the account of every strategy that has capital, in order of name."""
    return [_account(run, name) for name in run.strategies if name in run.capital]


def _account(run: Run, strategy: str) -> Account:
    fills = sorted((fill for fill in run.fills if fill.strategy == strategy), key=_time)
    capital = run.capital[strategy]
    holdings: dict[str, Holding] = {}
    for fill in fills:
        holdings.setdefault(fill.symbol, Holding()).take(fill)
    first = {fill.symbol: fill.price for fill in reversed(fills)}
    marks = {**first, **_last_prices(run.tracks)}
    assessment = run.assessments.get(strategy) or _assessed(strategy, run.tracks, fills, capital)
    return Account(strategy, capital, holdings, marks, assessment)


def _last_prices(tracks: Sequence[Track]) -> Mapping[str, Decimal]:
    ends = [
        (times[-1], track.symbol, prices[-1])
        for track in tracks
        if len(track)
        for times, prices in [track.points()]
    ]
    return {symbol: Decimal(repr(price)) for _, symbol, price in sorted(ends, key=itemgetter(0))}


def _assessed(
    strategy: str, tracks: Sequence[Track], fills: Sequence[Fill], capital: Decimal
) -> Assessment:
    curve = EquityCurve(capital)
    for at, symbol, price, fill in _steps(tracks, fills):
        if fill is None:
            curve.add(MarketData(datetime.fromtimestamp(at, UTC), symbol, price, 0.0))
        else:
            curve.fill(fill)
    return assess(fills, curve, strategy=strategy)


_Step = tuple[float, str, float, Fill | None]


def _steps(tracks: Sequence[Track], fills: Sequence[Fill]) -> Iterator[_Step]:
    """Yield Unix seconds, symbol and price of ticks and fills in order; a tick before its fills."""
    traded = {fill.symbol for fill in fills}

    def ticks(track: Track) -> Iterator[_Step]:
        for at, price in zip(*track.points(), strict=True):
            yield at, track.symbol, price, None

    yield from heapq.merge(
        *(ticks(track) for track in tracks if track.symbol in traded),
        ((_time(fill), fill.symbol, float(fill.price), fill) for fill in fills),
        key=lambda step: (step[0], step[3] is not None),
    )


def _time(fill: Fill) -> float:
    return fill.time.timestamp()
