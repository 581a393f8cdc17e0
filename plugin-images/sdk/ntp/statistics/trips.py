"""Round trips: from flat to flat, as one symbol's position is opened, built up, cut down and left.

By average cost, as the engine's book keeps a position: its sums are the book's to the last digit. A fill
that crosses zero ends one trip and begins the next, and its fee is shared between them by quantity. What is
still held at the end is an open trip, valued at the last price. The same cut as backtrader's `Trade` and
vectorbt's positions; backtesting.py cuts by entry, first in, first out, which is the same where a position
is entered once and left once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ntp.contract.messages import Fill, FillReason, Side
from ntp.engine.book import Book
from ntp.engine.exact import ZERO, share, worth

_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Trip:
    """Amounts in quote currency, quantities in base units, times aware UTC.

    Attributes:
        side: of its first fill: BUY is long, SELL is short.
        quantity: all that was entered; `left` of it is still held.
        exited: None: it is open.
        entry_price, exit_price: averages by quantity, on the grid of money; of an open trip, what
            was not left is valued at the last price.
        profit: before `fees`; of an open trip with what is not realised.
        reason: of the fill that left it.
    """

    number: int
    symbol: str
    side: Side
    quantity: Decimal
    left: Decimal
    entered: datetime
    exited: datetime | None
    until: datetime
    entry_price: Decimal
    exit_price: Decimal
    entry_worth: Decimal
    profit: Decimal
    fees: Decimal
    fills: int
    reason: FillReason | None = None

    @property
    def open(self) -> bool:
        return self.exited is None

    @property
    def net(self) -> Decimal:
        """Profit after fees."""
        return self.profit - self.fees

    @property
    def share(self) -> float:
        """Profit after fees, as a share of what was paid (short: received) at entry."""
        return float(self.net / abs(self.entry_worth)) if self.entry_worth else 0.0

    @property
    def length(self) -> timedelta:
        return self.until - self.entered


@dataclass(slots=True)
class _Way:
    """A trip under way."""

    number: int
    symbol: str
    side: Side
    entered: datetime
    opened: Decimal = ZERO
    opened_worth: Decimal = ZERO
    closed: Decimal = ZERO
    closed_worth: Decimal = ZERO
    profit: Decimal = ZERO
    fees: Decimal = ZERO
    fills: int = 0

    def ended(self, fill: Fill) -> Trip:
        return self._trip(fill.time, self.closed_worth, self.profit, exited_by=fill)

    def valued(self, unrealised: Decimal, at: datetime) -> Trip:
        """Return the trip as it is while something is left, whose leaving would bring `unrealised` more."""
        sign = 1 if self.side is Side.BUY else -1
        profit = self.profit + unrealised
        # Profit is what came less what was paid, so this is what all exits come to, the last one too.
        return self._trip(at, self.opened_worth + sign * profit, profit)

    def _trip(
        self, until: datetime, out: Decimal, profit: Decimal, *, exited_by: Fill | None = None
    ) -> Trip:
        return Trip(
            number=self.number,
            symbol=self.symbol,
            side=self.side,
            quantity=self.opened,
            left=self.opened - self.closed if exited_by is None else ZERO,
            entered=self.entered,
            exited=None if exited_by is None else exited_by.time,
            until=until,
            entry_price=share(self.opened_worth, _ONE, self.opened),
            exit_price=share(out, _ONE, self.opened),
            entry_worth=self.opened_worth,
            profit=profit,
            fees=self.fees,
            fills=self.fills,
            reason=None if exited_by is None else exited_by.reason,
        )


class Cutting:
    """Cuts one strategy's fills into trips as they come; it keeps those that are under way."""

    def __init__(self) -> None:
        self._book = Book.opened_with(Decimal(1))
        self._ways: dict[str, _Way] = {}
        self._last: datetime | None = None
        self._number = 0

    def take(self, fill: Fill) -> Trip | None:
        """Take the next fill in the order of events; return the trip that it ended."""
        book, symbol = self._book, fill.symbol
        self._last = fill.time if self._last is None else max(self._last, fill.time)
        held = book.positions.get(symbol)
        before = ZERO if held is None else held.quantity
        profit = book.execute(fill.side, symbol, fill.quantity, fill.price, fill.fee)
        traded, way = worth(fill.quantity, fill.price), self._ways.get(symbol)
        leaves = way is not None and way.side is not fill.side
        closing = min(abs(before), fill.quantity) if leaves else ZERO
        paid, fee = share(traded, closing, fill.quantity), share(fill.fee, closing, fill.quantity)
        ended = None
        if way is not None and leaves:
            way.closed += closing
            way.closed_worth += paid
            way.profit += profit
            way.fees += fee
            way.fills += 1
            if closing == abs(before):
                ended = way.ended(fill)
                del self._ways[symbol]
        if closing < fill.quantity:
            if symbol not in self._ways:
                self._number += 1
                self._ways[symbol] = _Way(self._number, symbol, fill.side, fill.time)
            way = self._ways[symbol]
            way.opened += fill.quantity - closing
            way.opened_worth += traded - paid
            way.fees += fill.fee - fee
            way.fills += 1
        return ended

    def open(self, marks: Mapping[str, Decimal], end: datetime | None = None) -> list[Trip]:
        """Return the trips under way.

        Args:
            marks: last price of each symbol that is still held; one that is not in it is valued at cost.
            end: event time of the last tick, until which an open trip lasts; one that is earlier than the
                last fill, or None: of the last fill.
        """
        last = self._last if end is None or self._last is None else max(end, self._last)
        found = []
        for symbol, way in self._ways.items():
            if symbol in marks:
                self._book.marks[symbol] = float(marks[symbol])
            found.append(way.valued(self._book.unrealised_of(symbol), last or way.entered))
        return found


def round_trips(
    fills: Iterable[Fill], marks: Mapping[str, Decimal], end: datetime | None = None
) -> list[Trip]:
    """Return all trips of one strategy's fills, in the order in which they were entered.

    Args:
        fills: in the order of events.
        marks: last price of each symbol that is still held, as `Cutting.open` takes it.
        end: event time of the last tick, as `Cutting.open` takes it.
    """
    cutting = Cutting()
    trips = [trip for fill in fills if (trip := cutting.take(fill)) is not None]
    return sorted([*trips, *cutting.open(marks, end)], key=lambda trip: trip.number)
