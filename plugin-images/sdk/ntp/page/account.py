"""What fills and prices come to: totals in decimals, and curves to look at.

The same sums as an executor's book (which rounds each amount to 1e-8), from what can be heard of it.
"""

import heapq
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ntp.contract.messages import Fill, Side
from ntp.page.run import Run, Track

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


@dataclass(slots=True)
class Curve:
    """`times` Unix seconds; `equity` after fees, `before_fees` with all fees so far given back."""

    times: "array[float]" = field(default_factory=lambda: array("d"))
    equity: "array[float]" = field(default_factory=lambda: array("d"))
    before_fees: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, at: float, equity: float, fees: float) -> None:
        self.times.append(at)
        self.equity.append(equity)
        self.before_fees.append(equity + fees)


@dataclass(frozen=True, slots=True)
class Account:
    """One strategy's. `marks`: the last price of each symbol in `holdings`; its first fill's where no
    tick came.
    """

    strategy: str
    capital: Decimal
    holdings: Mapping[str, Holding]
    marks: Mapping[str, Decimal]
    curve: Curve

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
    def drawdown(self) -> Sequence[float]:
        """The fall from the highest equity so far, as a share of it, at each point of the curve."""
        return falls(self.curve.equity, float(self.capital))


def falls(equity: Sequence[float], first: float) -> Sequence[float]:
    """Return the fall from a peak at each point; `first` is the first peak. All are 0 or above."""
    found = array("d")
    peak = first
    for value in equity:
        peak = max(peak, value)
        found.append((peak - value) / peak if peak > 0 else 0.0)
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
    curve, prices = _curve(run.tracks, fills, float(capital))
    marks = {symbol: Decimal(repr(prices[symbol])) for symbol in holdings}
    return Account(strategy, capital, holdings, marks, curve)


def _curve(
    tracks: Sequence[Track], fills: Sequence[Fill], capital: float
) -> tuple[Curve, Mapping[str, float]]:
    """Return the curve, and the last price of each symbol that was traded.

    In floats: this is what is drawn. What is told in figures is added up by `Holding`.
    """
    curve, cash, worth, fees = Curve(), capital, 0.0, 0.0
    quantities: dict[str, float] = {}
    marks: dict[str, float] = {}
    for at, symbol, price, fill in _steps(tracks, fills):
        if fill is None:
            worth += quantities.get(symbol, 0.0) * (price - marks.get(symbol, price))
            marks[symbol] = price
        else:
            signed = float(fill.quantity) * (1 if fill.side is Side.BUY else -1)
            quantities[symbol] = quantities.get(symbol, 0.0) + signed
            cash -= signed * price + float(fill.fee)
            worth += signed * marks.setdefault(symbol, price)
            fees += float(fill.fee)
        curve.add(at, cash + worth, fees)
    return curve, marks


_Step = tuple[float, str, float, Fill | None]


def _steps(tracks: Sequence[Track], fills: Sequence[Fill]) -> Iterator[_Step]:
    """Yield Unix seconds, symbol and price of ticks and fills in order; a tick before its fills."""
    traded = {fill.symbol for fill in fills}

    def ticks(track: Track) -> Iterator[_Step]:
        for at, price in zip(track.times, track.prices, strict=True):
            yield at, track.symbol, price, None

    yield from heapq.merge(
        *(ticks(track) for track in tracks if track.symbol in traded),
        ((_time(fill), fill.symbol, float(fill.price), fill) for fill in fills),
        key=lambda step: (step[0], step[3] is not None),
    )


def _time(fill: Fill) -> float:
    return fill.time.timestamp()
