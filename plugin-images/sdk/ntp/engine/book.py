"""One strategy's book: cash, positions, profit, fees; exact to the last digit.

Average cost method: a position carries what was paid for it in all, and a sale takes out its share. All
amounts lie on one grid (see exact.py) and are only ever added, so at any moment, exactly:

    cash + worth of all positions == equity == capital + realised + unrealised - fees
"""

from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from ntp.contract.messages import Side
from ntp.engine.exact import ROOM, ZERO, exact, money, share, worth


@dataclass(slots=True)
class Position:
    """What is held of one symbol. Never empty: a position that is left is taken out of the book.

    Attributes:
        quantity: base units; negative is short.
        cost: quote currency paid for it, fees aside; negative: received for a short.
        layers: how many signals built it up.
        signal_id: the last of them.
    """

    quantity: Decimal
    cost: Decimal
    layers: int = 1
    signal_id: str = ""
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None

    @property
    def average(self) -> Decimal:
        """What was paid a unit, on the grid of money."""
        return share(self.cost, Decimal(1), self.quantity)

    @property
    def leaving(self) -> Side:
        """The side of an order that leaves it."""
        return Side.SELL if self.quantity > 0 else Side.BUY

    def build(
        self, signal_id: str, layers: int, stop_loss: Decimal | None, take_profit: Decimal | None
    ) -> None:
        """Note the signal that built it up; a further one leaves the levels that it does not name."""
        self.layers, self.signal_id = layers, signal_id
        further = layers > 1
        if stop_loss is not None or not further:
            self.stop_loss = stop_loss
        if take_profit is not None or not further:
            self.take_profit = take_profit


@dataclass(slots=True)
class Book:
    """Amounts in quote currency.

    Attributes:
        capital: what was put in, less what was taken out.
        realised: profit of what was sold again, before fees.
        peak: highest equity that `note_equity` was shown.
        max_drawdown: largest fall from a peak, as a share of it.
    """

    capital: Decimal
    cash: Decimal
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    peak: Decimal = ZERO
    max_drawdown: Decimal = ZERO
    positions: dict[str, Position] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    """Last price of each symbol."""

    @classmethod
    def opened_with(cls, capital: Decimal) -> "Book":
        """Return an empty book.

        Raises:
            ValueError: no capital.
        """
        if capital <= 0:
            raise ValueError(f"capital was {capital}; give an amount above 0")
        amount = money(capital)
        return cls(capital=amount, cash=amount, peak=amount)

    def execute(
        self, side: Side, symbol: str, quantity: Decimal, price: Decimal, fee: Decimal
    ) -> Decimal:
        """Enter an execution and return the profit that it realised, before its fee.

        One that crosses zero closes what was held and opens the rest on the other side. `quantity` is
        in base units, above 0; `price` and `fee` in quote currency.
        """
        # Of the context itself: to enter and to leave one takes longer than all of these sums.
        add, subtract, traded = ROOM.add, ROOM.subtract, worth(quantity, price)
        signed = quantity if side is Side.BUY else ROOM.minus(quantity)
        paid = traded if side is Side.BUY else ROOM.minus(traded)
        self.cash = subtract(self.cash, add(paid, fee))
        self.fees = add(self.fees, fee)
        held = self.positions.get(symbol)
        if held is None:
            self.positions[symbol] = Position(signed, paid)
            return ZERO
        if (held.quantity > 0) == (signed > 0):
            held.quantity = add(held.quantity, signed)
            held.cost = add(held.cost, paid)
            return ZERO
        size = held.quantity.copy_abs()
        if quantity < size:
            taken_out = share(held.cost, quantity, size)
            held.quantity = add(held.quantity, signed)
            held.cost = subtract(held.cost, taken_out)
            profit = subtract(ROOM.minus(paid), taken_out)
        else:
            paid_to_close = share(paid, size, quantity)
            profit = subtract(ROOM.minus(paid_to_close), held.cost)
            left = add(held.quantity, signed)
            if left:
                self.positions[symbol] = Position(left, subtract(paid, paid_to_close))
            else:
                del self.positions[symbol]
        self.realised = add(self.realised, profit)
        return profit

    def unrealised_of(self, symbol: str) -> Decimal:
        """Return the profit that leaving the position at the last price would realise."""
        held = self.positions[symbol]
        return self._worth_of(symbol) - held.cost

    def _worth_of(self, symbol: str) -> Decimal:
        held = self.positions[symbol]
        mark = self.marks.get(symbol)
        return held.cost if mark is None else worth(held.quantity, exact(mark))

    @property
    def unrealised(self) -> Decimal:
        with localcontext(ROOM):
            return sum((self.unrealised_of(symbol) for symbol in self.positions), ZERO)

    @property
    def equity(self) -> Decimal:
        """Cash and what the positions are worth at their last prices."""
        equity = self.cash
        for symbol in self.positions:
            equity = ROOM.add(equity, self._worth_of(symbol))
        return equity

    def note_equity(self) -> Decimal:
        """Return the equity, and let it count for peak and drawdown."""
        equity = self.equity
        if equity >= self.peak:
            self.peak = equity
        else:
            # The peak is at least the capital, so it is above zero.
            fall = share(ROOM.subtract(self.peak, equity), Decimal(1), self.peak)
            self.max_drawdown = max(self.max_drawdown, fall)
        return equity

    def put_in(self, amount: Decimal) -> None:
        """Put capital in, or take it out (negative); neither is profit nor loss."""
        self.capital += amount
        self.cash += amount
        self.peak += amount
