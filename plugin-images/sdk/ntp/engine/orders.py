"""What a signal asks of a position: the rules from wish to order.

BUY targets long; SELL targets flat, or short where `short` is set; HOLD orders nothing. A repeat does
nothing unless `pyramid` allows that many layers. A change of side is one order that closes and opens.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from ntp.contract.launch import Trading
from ntp.contract.messages import FillReason, Side, SignalType, TradingSignal
from ntp.engine.book import Position
from ntp.engine.exact import LIMIT, ZERO, exact, is_amount, quantity


class OrderState(StrEnum):
    WAITING = "waiting"
    FILLED = "filled"
    CANCELLED = "cancelled"


class Order(msgspec.Struct, frozen=True):
    """A market order that waits for ticks of its symbol.

    Attributes:
        signal_id: of the signal that asked for it, or that built the position which it leaves.
        quantity: base units, above 0.
        layers: of the position once it is filled; 0 is flat.
        time: event time of the tick that caused it.
        due: event time before which it is not filled; None: the next tick will do.
        filled: base units, so far.
        parts: how many fills that took.
        why: in words, why it is less than what was asked for, or why it is there without a signal.
    """

    signal_id: str
    symbol: str
    side: Side
    quantity: Decimal
    layers: int
    time: datetime
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    reason: FillReason = FillReason.SIGNAL
    due: datetime | None = None
    filled: Decimal = ZERO
    parts: int = 0
    state: OrderState = OrderState.WAITING
    why: str = ""

    @property
    def rest(self) -> Decimal:
        """Base units that are still to be filled."""
        return self.quantity - self.filled

    @property
    def leaves(self) -> bool:
        """Whether it leaves a position without any signal's asking."""
        return self.reason is not FillReason.SIGNAL

    def cut(self, rest: Decimal, why: str) -> "Order":
        """Return it with `rest` left to be filled: cancelled where that is nothing."""
        if not rest:
            return replace(self, state=OrderState.CANCELLED, why=why)
        return replace(self, quantity=self.filled + rest, why=why)

    def executed(self, amount: Decimal) -> "Order":
        """Return it with so much more of it filled."""
        filled = self.filled + amount
        state = OrderState.FILLED if filled == self.quantity else OrderState.WAITING
        return replace(self, filled=filled, parts=self.parts + 1, state=state)


class Stand(NamedTuple):
    """Where a symbol will stand once its waiting orders are filled; layers 0 is flat."""

    quantity: Decimal = ZERO
    layers: int = 0

    @classmethod
    def of(cls, held: Position | None) -> "Stand":
        return cls() if held is None else cls(held.quantity, held.layers)

    def after(self, order: Order) -> "Stand":
        signed = order.rest if order.side is Side.BUY else -order.rest
        return Stand(self.quantity + signed, order.layers)

    def closed_by(self, order: Order) -> Decimal:
        """Return how much of the order closes what is held."""
        against = self.quantity < 0 if order.side is Side.BUY else self.quantity > 0
        return min(order.rest, abs(self.quantity)) if against else ZERO


def order_for(
    signal_id: str, time: datetime, signal: TradingSignal, stand: Stand, trading: Trading
) -> Order | str:
    """Return the order that a signal asks for, or in words why there is none."""
    if signal.signal_type is SignalType.HOLD:
        return "hold"
    buying = signal.signal_type is SignalType.BUY
    held = stand.quantity
    same_side = held > 0 if buying else held < 0
    if same_side and stand.layers >= trading.pyramid:
        return "already long" if buying else "already short"
    opens = buying or trading.short
    if not opens and held <= 0:  # short: the entry allowed it before
        return "already short" if held else "already flat"
    amount, layers = ZERO, 0
    stop_loss = take_profit = None
    if opens:
        if signal.size is None or not is_amount(signal.size):
            return f"refused: size was {signal.size}, and an amount above 0 is needed"
        amount = quantity(signal.size)
        if not amount:
            return f"refused: size {signal.size} is below 1e-8"
        for level in (signal.stop_loss, signal.take_profit):
            if level is not None and not -LIMIT < level < LIMIT:
                return f"refused: a level was {level}, which is no price"
        stop_loss, take_profit = _level(signal.stop_loss), _level(signal.take_profit)
        layers = stand.layers + 1 if same_side else 1
    if held and not same_side:
        amount += abs(held)
    return Order(
        signal_id=signal_id,
        symbol=signal.symbol,
        side=Side.BUY if buying else Side.SELL,
        quantity=amount,
        layers=layers,
        time=time,
        stop_loss=stop_loss,
        take_profit=take_profit,
    )


def leaving(
    symbol: str, held: Position, reason: FillReason, time: datetime, why: str = ""
) -> Order:
    """Return the order that leaves a position."""
    side, amount = held.leaving, abs(held.quantity)
    return Order(held.signal_id, symbol, side, amount, 0, time, reason=reason, why=why)


def closing_part(order: Order, stand: Stand, why: str) -> Order | str:
    """Return what of an order closes what is held; `refused:` and `why` where it only opens."""
    closes = stand.closed_by(order)
    if not closes:
        return f"refused: {why}"
    if closes == order.rest:
        return order
    return _flat(order.cut(closes, why))


def closing_only(orders: Sequence[Order], held: Stand, why: str) -> list[Order]:
    """Return waiting orders in their order, each cut to what of it closes what is held."""
    result, stand = [], held
    for order in orders:
        closes = stand.closed_by(order)
        kept = order if closes == order.rest else _flat(order.cut(closes, why))
        if kept.state is OrderState.WAITING:
            stand = stand.after(kept)
        result.append(kept)
    return result


def without_position(orders: Sequence[Order], held: Position, why: str) -> list[Order]:
    """Return waiting orders as they are once the position is left by something else.

    What would have closed it goes, and so does the rest of the order that was still building it; what
    opens stays.
    """
    result, gone = [], abs(held.quantity)
    for order in orders:
        one = order
        if (order.side is Side.SELL) == (held.quantity > 0):
            taken = min(order.rest, gone)
            gone -= taken
            one = order.cut(order.rest - taken, why) if taken else order
        elif order.signal_id == held.signal_id:
            gone += order.rest
            one = order.cut(ZERO, why)
        else:
            one = replace(order, layers=max(order.layers - held.layers, 1))
        result.append(one)
    return result


def _flat(order: Order) -> Order:
    return replace(order, layers=0, stop_loss=None, take_profit=None)


def _level(price: float | None) -> Decimal | None:
    return None if price is None else exact(price)
