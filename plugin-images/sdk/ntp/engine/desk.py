"""One strategy's desk: waiting orders, protective levels and the book, moved by signals and ticks.

The same signals and ticks in the same order give the same fills, in a test, on paper and after a restart.
An order is filled from the next tick of its symbol on after the one that caused its signal; a stop-loss
or take-profit is looked at from the tick after the entry on.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from ntp.contract.launch import Trading
from ntp.contract.messages import Fill, FillReason, MarketData, TradingSignal
from ntp.engine.book import Book, Position
from ntp.engine.changes import Change, Sample, Seen
from ntp.engine.exact import LIMIT, ZERO, exact, worth
from ntp.engine.fills import Costs, market_price, protective_price, triggered
from ntp.engine.orders import (
    Order,
    Stand,
    closing_only,
    closing_part,
    leaving,
    order_for,
    without_position,
)
from ntp.engine.portfolio import Portfolio
from ntp.engine.risk import Day, Figures, Limits, Pace, refusal
from ntp.engine.waiting import Waiting

_Done = tuple[Sequence[Fill], Sequence[Order]]
"""What was filled, and the orders that are not as they were."""
_NOTHING: _Done = ((), ())
_REMEMBERED_IDS = 1024
_WAITING = 10_000
"""Symbols with orders that wait for a tick: one that invents symbols must not fill its ledger."""


class Desk:
    """Call `signal` and `tick` in the order of events.

    Args:
        executor: the instance whose fills these are.
        strategy: whose desk it is.
        trading: capital, position rules and risk limits.
        costs: of an execution.
        sample_s: the equity curve has at most one point, besides fills, in each stretch of so many
            seconds of event time.
        portfolio: the limits of all strategies of the executor.

    Raises:
        ValueError: the capital is not an amount above 0, or a limit is none.

    Attributes:
        orders: those that wait for ticks, by symbol.
        seen: by symbol. A tick that is older, or that was seen, is ignored and counted in `stale`:
            a source that starts again may send what it sent before.
        last_bucket: of the newest sample.
        halted: why nothing may be opened, in words; empty: it may.
        limited: why the last order that would have opened did not, in words; empty: it did.
        refused: orders, or parts of them, that were kept from opening; of this life.
    """

    def __init__(
        self,
        executor: str,
        strategy: str,
        trading: Trading,
        costs: Costs,
        *,
        sample_s: int = 60,
        portfolio: Portfolio | None = None,
    ) -> None:
        self.executor = executor
        self.strategy = strategy
        self.trading = trading
        self.costs = costs
        self.sample_s = sample_s
        self.book = Book.opened_with(exact(trading.capital))
        self.limits = Limits.of(trading.risk)
        self.day = Day()
        self.pace = Pace()
        self.halted = self.limited = ""
        self.refused = 0
        self.orders = Waiting()
        self.seen: dict[str, Seen] = {}
        self.last_bucket = -1
        self.stale = 0
        self.unusable = 0
        """Ticks whose price was no number of a usable size."""
        self._portfolio = portfolio
        if portfolio is not None:
            portfolio.join(self)

    def signal(
        self, signal_id: str, signal: TradingSignal, time: datetime, *, closes_only: str = ""
    ) -> Order | str:
        """Take a signal; return its order, which waits for a tick now, or why there is none.

        `closes_only`: why nothing may be opened any more, in words.

        The caller sees to it that each `signal_id` comes once. `time` is the event time of the tick that
        caused it.
        """
        stand = self.orders.stand(signal.symbol, self.book.positions.get(signal.symbol))
        waiting = self.orders.get(signal.symbol, [])
        outcome = order_for(signal_id, time, signal, stand, self.trading)
        if isinstance(outcome, Order) and stand.closed_by(outcome) < outcome.rest:
            why = closes_only or self.halted or self._met(outcome, stand, signal.price)
            self.limited = why
            if why:
                self.refused += 1
                outcome = closing_part(outcome, stand, why)
        if isinstance(outcome, Order) and not waiting and len(self.orders) >= _WAITING:
            return f"refused: orders of {_WAITING:,} symbols wait for a tick"
        if isinstance(outcome, Order):
            if (due := self.costs.due(time)) is not None:
                outcome = replace(outcome, due=due)
            self.orders[signal.symbol] = [*waiting, outcome]
            self.pace.note(time)
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
        another_day = time >= self.day.ends
        if another_day:
            self.day = Day.of(time, self.book.equity)
        if symbol not in self.orders and not self.book.positions:
            return None  # flat, equity does not move: whichever tick begins a day, it is the same
        return self._moved(data, another_day=another_day)

    def halt(self, why: str, *, flatten: bool = False) -> Change:
        """Open nothing any more, and cut what waits to what closes; `why` goes into the ledger.

        `flatten`: what is held is closed at the next tick of its symbol, and nothing else is ordered.
        """
        self.halted = why
        changed: list[Order] = []
        for symbol in sorted({*self.orders, *self.book.positions} if flatten else self.orders):
            held = self.book.positions.get(symbol)
            waiting = self.orders.get(symbol, [])
            if not flatten or any(each.reason is FillReason.FLATTEN for each in waiting):
                closing = closing_only(waiting, Stand.of(held), why)
                changed += self.orders.become(symbol, closing)
                continue
            changed += self.orders.become(symbol, [each.cut(ZERO, why) for each in waiting])
            if held is not None:
                seen = self.seen.get(symbol)
                time = self.day.ends if seen is None else seen.time
                order = leaving(symbol, held, FillReason.FLATTEN, time, why)
                self.orders[symbol] = [order]
                changed.append(order)
        return Change(orders=tuple(changed))

    def resume(self) -> None:
        """Open again. What was ordered to be closed is closed."""
        self.halted = ""

    def put_in(self, amount: Decimal) -> None:
        """Put capital in, or take it out (negative); neither is profit nor loss of the day."""
        self.book.put_in(amount)
        self.day = Day(self.day.ends, self.day.equity + amount)

    def exposure(self, symbol: str) -> Decimal:
        """Return the worth of what is held of a symbol once what waits is filled."""
        stand = self.orders.stand(symbol, self.book.positions.get(symbol))
        return self._worth(symbol, stand.quantity, 0.0)

    def figures(self, symbol: str, held: Decimal, time: datetime) -> Figures:
        """Return what limits are compared with; `held`: the worth once an order is filled."""
        book, orders = self.book, self.pace.before(time)
        return Figures(symbol, held, book.capital, book.equity, self.day, orders)

    def _met(self, order: Order, stand: Stand, price: float) -> str:
        """Return which limit the opening part of an order would break, in words."""
        free = self.limits.none
        if free and self._portfolio is None:
            return ""
        held = self._worth(order.symbol, stand.after(order).quantity, price)
        figures = None if free else self.figures(order.symbol, held, order.time)
        why = refusal(self.limits, figures) if figures is not None else ""
        if not why and self._portfolio is not None:
            why = self._portfolio.refusal(self, order.symbol, held, order.time)
        return why

    def _worth(self, symbol: str, quantity: Decimal, price: float) -> Decimal:
        last = self.book.marks.get(symbol, price)
        return abs(worth(quantity, exact(last)))

    def _moved(self, data: MarketData, *, another_day: bool) -> Change | None:
        held = self.book.positions.get(data.symbol)
        fills, orders = _NOTHING
        if data.symbol in self.orders:
            fills, orders = self._trade(data, held)
        elif held is not None:
            fills, orders = self._protect(data, held, ())
        if not fills and not self.book.positions:
            return Change(orders=tuple(orders)) if orders else None
        bucket = int(data.timestamp.timestamp() // self.sample_s)
        if not fills and bucket <= self.last_bucket:
            return Change(orders=tuple(orders)) if orders or another_day else None
        self.last_bucket = max(self.last_bucket, bucket)
        sample = Sample(bucket, data.timestamp, self.book.note_equity(), self.book.cash)
        return Change(tuple(fills), sample, tuple(orders))

    def _trade(self, data: MarketData, held: Position | None) -> _Done:
        """Fill what waits, in its order, as far as the tick's volume goes; else look at the levels."""
        most = self.costs.most(data.volume)
        fills: list[Fill] = []
        changed: list[Order] = []
        waiting = self.orders[data.symbol]
        for order in waiting:
            amount = order.rest if most is None else min(order.rest, most)
            if not amount or (order.due is not None and data.timestamp < order.due):
                break
            most = None if most is None else most - amount
            price = market_price(order.side, data, self.costs)
            fill, filled = self._execute(order, amount, price, data)
            fills.append(fill)
            changed.append(filled)
        if changed:
            self.orders.become(data.symbol, [*changed, *waiting[len(changed) :]])
            return fills, changed
        if held is None or any(order.leaves for order in waiting):
            return _NOTHING
        return self._protect(data, held, waiting)

    def _protect(self, data: MarketData, held: Position, waiting: Sequence[Order]) -> _Done:
        side = held.leaving
        reason = triggered(side, data.price, held.stop_loss, held.take_profit)
        if reason is None:
            return _NOTHING
        level = held.stop_loss if reason is FillReason.STOP_LOSS else held.take_profit
        why = f"its position was left by the {reason.replace('_', ' ')} of {held.signal_id}"
        changed = self.orders.become(data.symbol, without_position(waiting, held, why))
        order, fills = leaving(data.symbol, held, reason, data.timestamp), []
        most = self.costs.most(data.volume)
        amount = order.rest if most is None else min(order.rest, most)
        if amount and level is not None:
            price = protective_price(side, level, data, self.costs)
            fill, order = self._execute(order, amount, price, data)
            fills.append(fill)
        if order.rest:
            # What is over at once is no order: it needs no row of its own.
            self.orders[data.symbol] = [order, *self.orders.get(data.symbol, ())]
            changed.append(order)
        return fills, changed

    def _execute(
        self, order: Order, quantity: Decimal, price: Decimal, data: MarketData
    ) -> tuple[Fill, Order]:
        fee = self.costs.fee(worth(quantity, price))
        realised = self.book.execute(order.side, data.symbol, quantity, price, fee)
        held = self.book.positions.get(order.symbol)
        if held is not None and held.leaving is not order.side:
            held.build(order.signal_id, order.layers, order.stop_loss, order.take_profit)
        filled = order.executed(quantity)
        part = "" if filled.parts == 1 else f":{filled.parts}"
        fill = Fill(
            # A signal has one order, and a position built by it is left once: the id is unique.
            id=f"{self.executor}:{order.signal_id}:{order.reason}{part}",
            signal_id=order.signal_id,
            executor=self.executor,
            strategy=self.strategy,
            symbol=data.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            fee=fee,
            realised=realised,
            reason=order.reason,
            time=data.timestamp,
            tick_id=data.id,
        )
        return fill, filled
