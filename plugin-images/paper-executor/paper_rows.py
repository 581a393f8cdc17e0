"""How times, amounts and orders are written into the rows of a ledger."""

import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ntp.engine.orders import Order

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def keep_order(sql: sqlite3.Connection, order: Order) -> None:
    """Write an order, or what has become of it; its number stays."""
    sql.execute(
        "INSERT INTO orders (signal_id, reason, symbol, side, quantity, layers, time, due, stop_loss,"
        " take_profit, filled, parts, place, state, why)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (signal_id, reason) DO UPDATE SET quantity = excluded.quantity,"
        " layers = excluded.layers, stop_loss = excluded.stop_loss,"
        " take_profit = excluded.take_profit, filled = excluded.filled, parts = excluded.parts,"
        " state = excluded.state, why = excluded.why",
        (
            order.signal_id,
            order.reason,
            order.symbol,
            order.side,
            str(order.quantity),
            order.layers,
            micros(order.time),
            None if order.due is None else micros(order.due),
            amount(order.stop_loss),
            amount(order.take_profit),
            str(order.filled),
            order.parts,
            0 if order.leaves else 1,
            order.state,
            order.why,
        ),
    )


def micros(time: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def moment(since_1970: int) -> datetime:
    """Return the aware UTC time of so many microseconds."""
    return _EPOCH + since_1970 * _MICROSECOND


def amount(number: Decimal | None) -> str | None:
    """Return an amount as exact text."""
    return None if number is None else str(number)
