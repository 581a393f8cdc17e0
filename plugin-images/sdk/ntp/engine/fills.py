"""When, how much and at which price an order is filled: a market order meets the spread, then slips.

For a market order at a tick with last price p, best bid b and best ask a (Harris, Trading and Exchanges,
2003, chapters 4 and 14: a market order pays half the spread, and its impact on top):

    reference    buy: a, sell: b, where the tick has them; else p + |p| h (buy), p - |p| h (sell)
    fill price   reference + |reference| s + f (buy), reference - |reference| s - f (sell)
    fee          fill price * quantity * rate, rounded up to 1e-8
    time         the first tick of its symbol at or after signal time + l
    quantity     at most w * volume of a tick, rounded down to 1e-8; the rest waits for the next tick

with h = half_spread, s = slippage (shares of the price), f = slippage_fixed (quote currency a unit),
l = latency_s and w = volume_share. Prices are rounded to 1e-12 against the trader.

A stop-loss and a take-profit are market orders that a tick's last price triggers. Prices jump, so such an
order is filled at the worse of its level and the reference, then slips too. It lies at the exchange, so
it has no latency. What the tick's volume leaves of it goes on as a market order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ntp.contract.messages import FillReason, MarketData, Side
from ntp.engine.exact import ROOM, ZERO, charge, exact, is_amount, price_down, price_up, quantity

_LONGEST_LATENCY = 86_400


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs, in money and in waiting. Shares, not percent: 0.001 is 0.1 %.

    Attributes:
        fee_rate: of the traded worth; 0.001 is Binance's regular spot fee.
        slippage: of the price.
        slippage_fixed: quote currency a unit.
        half_spread: of the price; used where a tick has no bid or ask.
        latency_s: seconds of event time from the tick that caused a signal until its order is there.
        volume_share: of a tick's volume that one strategy's orders may take; None: all they want.
    """

    fee_rate: Decimal = Decimal("0.001")
    slippage: Decimal = Decimal("0.0001")
    slippage_fixed: Decimal = Decimal(0)
    half_spread: Decimal = Decimal("0.0001")
    latency_s: Decimal = Decimal(0)
    volume_share: Decimal | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Costs":
        """Read them from a plugin's config; what it leaves out has its default.

        Raises:
            ValueError: one is no number, negative, or a share that is none.
        """
        given: dict[str, Decimal] = {}
        for field in fields(cls):
            value = config.get(field.name)
            if value is None:
                continue
            try:
                number = exact(value)
            except ValueError:
                raise ValueError(f"{field.name} was {value!r}; give a number from 0") from None
            if not _fits(field.name, number):
                raise ValueError(f"{field.name} was {value}; give {_RANGES[field.name]}")
            given[field.name] = number
        return cls(**given)

    def due(self, time: datetime) -> datetime | None:
        """Return when an order of a signal of this event time can be filled; None: at the next tick."""
        if not self.latency_s:
            return None
        return time + timedelta(microseconds=int(self.latency_s * 1_000_000))

    def most(self, volume: float) -> Decimal | None:
        """Return the base units that a tick of this volume has for one strategy; None: no limit."""
        if self.volume_share is None:
            return None
        if not is_amount(volume):
            return ZERO
        return quantity(ROOM.multiply(exact(volume), self.volume_share))

    def fee(self, traded: Decimal) -> Decimal:
        """Return the fee on what was traded, in quote currency."""
        return charge(abs(traded), self.fee_rate)


_SHARE = "a number from 0 and below 1 (0.001 is 0.1 %)"
_RANGES = {
    "fee_rate": _SHARE,
    "slippage": _SHARE,
    "slippage_fixed": "a number from 0",
    "half_spread": _SHARE,
    "latency_s": f"seconds from 0 to {_LONGEST_LATENCY}",
    "volume_share": "a number above 0 and up to 1, or leave it out for no limit",
}


def _fits(name: str, number: Decimal) -> bool:
    match name:
        case "slippage_fixed":
            return number >= 0
        case "latency_s":
            return 0 <= number <= _LONGEST_LATENCY
        case "volume_share":
            return 0 < number <= 1
        case _:
            return 0 <= number < 1


def market_price(side: Side, tick: MarketData, costs: Costs) -> Decimal:
    """Return what one unit costs at this tick, spread and slippage included."""
    return _slip(side, _reference(side, tick, costs), costs)


def protective_price(side: Side, level: Decimal, tick: MarketData, costs: Costs) -> Decimal:
    """Return what one unit costs when a stop-loss or take-profit at `level` was triggered by this tick."""
    reference = _reference(side, tick, costs)
    worse = max(level, reference) if side is Side.BUY else min(level, reference)
    return _slip(side, worse, costs)


def triggered(
    side: Side, price: float, stop_loss: Decimal | None, take_profit: Decimal | None
) -> FillReason | None:
    """Return why a position has to be left at this last price, if it has; the stop is asked first.

    `side` is that of the order that would leave it: SELL leaves a long position.
    """
    long = side is Side.SELL
    # A level is the decimal of the float that the strategy gave, so float() gives that one back.
    if stop_loss is not None:
        level = float(stop_loss)
        if price <= level if long else price >= level:
            return FillReason.STOP_LOSS
    if take_profit is not None:
        level = float(take_profit)
        if price >= level if long else price <= level:
            return FillReason.TAKE_PROFIT
    return None


def _reference(side: Side, tick: MarketData, costs: Costs) -> Decimal:
    quote = tick.ask if side is Side.BUY else tick.bid
    if quote is not None and is_amount(quote):
        return exact(quote)
    price = exact(tick.price)
    half = abs(price) * costs.half_spread
    return price + half if side is Side.BUY else price - half


def _slip(side: Side, reference: Decimal, costs: Costs) -> Decimal:
    slip = abs(reference) * costs.slippage + costs.slippage_fixed
    return price_up(reference + slip) if side is Side.BUY else price_down(reference - slip)
