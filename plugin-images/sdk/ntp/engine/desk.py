"""One strategy's desk: waiting orders, protective levels and the book, moved by signals and ticks.

The same signals and ticks in the same order give the same fills, in a test, on paper and after a restart.
An order is filled at the next tick of its symbol after the one that caused its signal; a stop-loss or
take-profit is looked at from the tick after the entry on.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec

from ntp.contract.launch import Trading
from ntp.contract.messages import Fill, FillReason, MarketData, Side, TradingSignal
from ntp.engine.book import Book, Position
from ntp.engine.exact import LIMIT, exact, worth
from ntp.engine.fills import Costs, market_price, protective_price, triggered
from ntp.engine.orders import Order, Stand, closing_part, order_for

_REMEMBERED_IDS = 1024
_WAITING = 10_000
"""Symbols with orders that wait for a tick: one that invents symbols must not fill its ledger."""


class Sample(msgspec.Struct, frozen=True):
    """A point of the equity curve. `bucket`: which stretch of event time it is the first of."""

    bucket: int
    time: datetime
    equity: Decimal
    cash: Decimal


class Change(msgspec.Struct, frozen=True):
    """What a tick changed that has to be kept."""

    fills: tuple[Fill, ...]
    sample: Sample | None


@dataclass(slots=True)
class Seen:
    """Where a symbol's ticks have come to: the newest event time, and the ids of its ticks."""

    time: datetime
    ids: set[str] = field(default_factory=set)


class Desk:
    """Call `signal` and `tick` in the order of events.

    Args:
        executor: the instance whose fills these are.
        strategy: whose desk it is.
        trading: capital and position rules.
        costs: of an execution.
        sample_s: the equity curve has at most one point, besides fills, in each stretch of so many
            seconds of event time.

    Raises:
        ValueError: the capital is not an amount above 0.

    Attributes:
        orders: those that wait for a tick, by symbol.
        seen: by symbol. A tick that is older, or that was seen, is ignored and counted in `stale`:
            a source that starts again may send what it sent before.
        last_bucket: of the newest sample.
    """

    def __init__(
        self, executor: str, strategy: str, trading: Trading, costs: Costs, *, sample_s: int = 60
    ) -> None:
        self.executor = executor
        self.strategy = strategy
        self.trading = trading
        self.costs = costs
        self.sample_s = sample_s
        self.book = Book.opened_with(exact(trading.capital))
        self.orders: dict[str, list[Order]] = {}
        self.seen: dict[str, Seen] = {}
        self.last_bucket = -1
        self.stale = 0
        self.unusable = 0
        """Ticks whose price was no number of a usable size."""

    def signal(
        self, signal_id: str, signal: TradingSignal, time: datetime, *, closes_only: str = ""
    ) -> Order | str:
        """Take a signal; return its order, which waits for a tick now, or why there is none.

        `closes_only`: why nothing may be opened any more, in words.

        The caller sees to it that each `signal_id` comes once. `time` is the event time of the tick that
        caused it.
        """
        stand = Stand()
        held = self.book.positions.get(signal.symbol)
        if held is not None:
            stand = Stand(held.quantity, held.layers)
        waiting = self.orders.get(signal.symbol, [])
        for order in waiting:
            stand = stand.after(order)
        outcome = order_for(signal_id, time, signal, stand, self.trading)
        if closes_only and isinstance(outcome, Order):
            outcome = closing_part(outcome, stand, closes_only)
        if isinstance(outcome, Order) and not waiting and len(self.orders) >= _WAITING:
            return f"refused: orders of {_WAITING:,} symbols wait for a tick"
        if isinstance(outcome, Order):
            self.orders[signal.symbol] = [*waiting, outcome]
        return outcome

    def tick(self, data: MarketData) -> Change | None:
        """Take a tick; return what it changed, None if that was the last price alone."""
        symbol, time = data.symbol, data.timestamp
        if not -LIMIT < data.price < LIMIT:
            self.unusable += 1
            return None
        seen = self.seen.get(symbol)
        if seen is None:
            self.seen[symbol] = Seen(time, {data.id})
        elif time > seen.time:
            seen.time = time
            seen.ids = {data.id}
        elif time < seen.time or (data.id and data.id in seen.ids):
            self.stale += 1
            return None
        elif len(seen.ids) < _REMEMBERED_IDS:
            seen.ids.add(data.id)
        self.book.marks[symbol] = data.price
        orders = self.orders.pop(symbol, None)
        if orders is not None:
            fills = tuple(self._execute(order, data) for order in orders)
        elif symbol in self.book.positions:
            fills = self._protect(self.book.positions[symbol], data)
        elif not self.book.positions:
            return None
        else:
            fills = ()
        bucket = int(time.timestamp() // self.sample_s)
        if not fills and bucket <= self.last_bucket:
            return None
        self.last_bucket = max(self.last_bucket, bucket)
        return Change(fills, Sample(bucket, time, self.book.note_equity(), self.book.cash))

    def _execute(self, order: Order, data: MarketData) -> Fill:
        price = market_price(order.side, data, self.costs)
        fill = self._fill(order, FillReason.SIGNAL, order.side, order.quantity, price, data=data)
        held = self.book.positions.get(order.symbol)
        if held is not None:
            further = order.layers > 1
            held.layers = order.layers
            held.signal_id = order.signal_id
            if order.stop_loss is not None or not further:
                held.stop_loss = order.stop_loss
            if order.take_profit is not None or not further:
                held.take_profit = order.take_profit
        return fill

    def _protect(self, held: Position, data: MarketData) -> tuple[Fill, ...]:
        side = held.leaving
        reason = triggered(side, data.price, held.stop_loss, held.take_profit)
        if reason is None:
            return ()
        level = held.stop_loss if reason is FillReason.STOP_LOSS else held.take_profit
        if level is None:  # not so: `triggered` names a level that is there
            return ()
        price = protective_price(side, level, data, self.costs)
        return (self._fill(held, reason, side, abs(held.quantity), price, data=data),)

    def _fill(
        self,
        cause: Order | Position,
        reason: FillReason,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        *,
        data: MarketData,
    ) -> Fill:
        fee = self.costs.fee(worth(quantity, price))
        realised = self.book.execute(side, data.symbol, quantity, price, fee)
        return Fill(
            # A signal has one order, and a position built by it is left once: the id is unique.
            id=f"{self.executor}:{cause.signal_id}:{reason}",
            signal_id=cause.signal_id,
            executor=self.executor,
            strategy=self.strategy,
            symbol=data.symbol,
            side=side,
            quantity=quantity,
            price=price,
            fee=fee,
            realised=realised,
            reason=reason,
            time=data.timestamp,
            tick_id=data.id,
        )
