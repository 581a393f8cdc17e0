"""At which price an order is filled: a market order meets the spread, then slips.

For a market order at a tick with last price p, best bid b and best ask a (Harris, Trading and Exchanges,
2003, chapters 4 and 14: a market order pays half the spread, and its impact on top):

    reference    buy: a, sell: b, where the tick has them; else p + |p| h (buy), p - |p| h (sell)
    fill price   reference + |reference| s + f (buy), reference - |reference| s - f (sell)
    fee          fill price * quantity * rate, rounded up to 1e-8

with h = half_spread, s = slippage (shares of the price) and f = slippage_fixed (quote currency a unit).
Prices are rounded to 1e-12 against the trader.

A stop-loss and a take-profit are market orders that a tick's last price triggers. Prices jump, so such an
order is filled at the worse of its level and the reference, then slips too. Volume does not limit a fill:
the whole quantity is executed at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from ntp.contract.messages import FillReason, MarketData, Side
from ntp.engine.exact import charge, exact, is_amount, price_down, price_up


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs. Shares, not percent: 0.001 is 0.1 %.

    Attributes:
        fee_rate: of the traded worth; 0.001 is Binance's regular spot fee.
        slippage: of the price.
        slippage_fixed: quote currency a unit.
        half_spread: of the price; used where a tick has no bid or ask.
    """

    fee_rate: Decimal = Decimal("0.001")
    slippage: Decimal = Decimal("0.0001")
    slippage_fixed: Decimal = Decimal(0)
    half_spread: Decimal = Decimal("0.0001")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Costs":
        """Read the four from a plugin's config; what it leaves out has its default.

        Raises:
            ValueError: one is no number, negative, or a share of 1 or more.
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
            if number < 0 or (field.name != "slippage_fixed" and number >= 1):
                below = "" if field.name == "slippage_fixed" else " and below 1 (0.001 is 0.1 %)"
                raise ValueError(f"{field.name} was {value}; give a number from 0{below}")
            given[field.name] = number
        return cls(**given)

    def fee(self, traded: Decimal) -> Decimal:
        """Return the fee on what was traded, in quote currency."""
        return charge(abs(traded), self.fee_rate)


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
