"""What a signal asks of a position: the rules from wish to order.

BUY targets long; SELL targets flat, or short where `short` is set; HOLD orders nothing. A repeat does
nothing unless `pyramid` allows that many layers. A change of side is one order that closes and opens.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from ntp.contract.launch import Trading
from ntp.contract.messages import Side, SignalType, TradingSignal
from ntp.engine.exact import LIMIT, ZERO, exact, is_amount, quantity


class Order(msgspec.Struct, frozen=True):
    """A market order, to be filled at the next tick of its symbol.

    Attributes:
        quantity: base units, above 0.
        layers: of the position once it is filled; 0 is flat.
        time: event time of the tick that caused the signal.
    """

    signal_id: str
    symbol: str
    side: Side
    quantity: Decimal
    layers: int
    time: datetime
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


class Stand(NamedTuple):
    """Where a symbol will stand once its waiting orders are filled; layers 0 is flat."""

    quantity: Decimal = ZERO
    layers: int = 0

    def after(self, order: Order) -> "Stand":
        signed = order.quantity if order.side is Side.BUY else -order.quantity
        return Stand(self.quantity + signed, order.layers)


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


def closing_part(order: Order, stand: Stand, why: str) -> Order | str:
    """Return what of an order closes what is held; `refused:` and `why` where it only opens."""
    held = stand.quantity
    against = held < 0 if order.side is Side.BUY else held > 0
    if not against:
        return f"refused: {why}"
    return msgspec.structs.replace(
        order, quantity=abs(held), layers=0, stop_loss=None, take_profit=None
    )


def _level(price: float | None) -> Decimal | None:
    return None if price is None else exact(price)
