"""Open a ledger: make it, or check it and put the desk back to where it was."""

import json
import sqlite3
from contextlib import ExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path

from paper_ledger import Ledger, LedgerError
from paper_migrate import SCHEMA_VERSION, create_tables, migrate
from paper_rows import micros, moment
from paper_share import Share

from ntp.contract.messages import FillReason, Side
from ntp.engine.book import Book, Position
from ntp.engine.changes import Seen
from ntp.engine.desk import Desk
from ntp.engine.exact import ZERO
from ntp.engine.orders import Order
from ntp.engine.risk import KEPT, Day, Pace

_FIX = "move the file away to begin a new ledger, or put a good copy in its place"


def open_ledger(path: Path | None, desk: Desk, share: Share | None = None) -> Ledger:
    """Return the ledger, and bring `desk` to the state that it holds.

    Args:
        path: the file; made if it is not there. None: in memory, for a test.
        desk: new; its capital is what the entry says now, and a difference to the ledger's is put
            in, or taken out.
        share: how much it may fill; None: as much as it likes.

    Raises:
        LedgerError: another process has it open, it is damaged, it is another executor's or
            strategy's, or its figures contradict each other.
    """
    share = share or Share()
    name = "the ledger in memory" if path is None else f"the ledger {path.name}"
    with ExitStack() as undo:
        try:
            sql = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=1.0)
            undo.callback(sql.close)
            # Exclusive: one writer, and no shared memory file, which some sandboxes do not offer.
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                sql.execute(f"PRAGMA {pragma}")
            share.bound_log(sql)
            sql.execute("BEGIN IMMEDIATE")
            if sql.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
                _create(sql, desk)
            else:
                migrate(sql)
                _check(sql, name, desk)
                _restore(sql, name, desk)
            sql.execute("COMMIT")
        except (sqlite3.Error, ValueError, KeyError, InvalidOperation) as error:
            busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
            found = "is open in another process" if busy else f"cannot be read: {error}"
            fix = "stop that process first" if busy else _FIX
            raise LedgerError(f"{name} {found}; {fix}") from error
        undo.pop_all()
    return Ledger(sql, name, desk, share)


def _create(sql: sqlite3.Connection, desk: Desk) -> None:
    create_tables(sql)
    about = {"schema": SCHEMA_VERSION, "executor": desk.executor, "strategy": desk.strategy}
    sql.executemany("INSERT INTO about VALUES (?, ?)", about.items())
    book = desk.book
    sql.execute("INSERT INTO capital (amount) VALUES (?)", (str(book.capital),))
    sql.execute(
        "INSERT INTO account VALUES (1, ?, '0', '0', ?, '0', ?, -1, ?, ?, '0')",
        (str(book.cash), str(book.peak), desk.sample_s, -(2**63), micros(Day().ends)),
    )


def _check(sql: sqlite3.Connection, name: str, desk: Desk) -> None:
    found = [row[0] for row in sql.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise LedgerError(f"{name} is damaged: {'; '.join(found)}; {_FIX}")
    if list(sql.execute("PRAGMA foreign_key_check")):
        raise LedgerError(f"{name} is damaged: it has fills without their signal; {_FIX}")
    about = dict(sql.execute("SELECT key, value FROM about"))
    if about["schema"] != SCHEMA_VERSION:
        raise LedgerError(
            f"{name} has the format {about['schema']}, and this executor knows {SCHEMA_VERSION};"
            " run the version of paper_executor that wrote it"
        )
    if (about["executor"], about["strategy"]) != (desk.executor, desk.strategy):
        raise LedgerError(
            f"{name} is that of {about['strategy']} at {about['executor']},"
            f" not of {desk.strategy} at {desk.executor}; {_FIX}"
        )


def _restore(sql: sqlite3.Connection, name: str, desk: Desk) -> None:
    wanted = desk.book.capital
    desk.book = _recompute(sql)
    _compare(sql, name, desk.book)
    columns = "symbol, layers, signal_id, stop_loss, take_profit"
    for symbol, *rest in sql.execute(f"SELECT {columns} FROM positions"):  # noqa: S608
        held = desk.book.positions[symbol]
        held.layers, held.signal_id = rest[0], rest[1]
        held.stop_loss, held.take_profit = _decimal(rest[2]), _decimal(rest[3])
    for symbol, time, ids, price in sql.execute("SELECT symbol, time, ids, price FROM seen"):
        desk.seen[symbol] = Seen(moment(time), set(json.loads(ids)))
        desk.book.marks[symbol] = price
    for row in sql.execute(
        "SELECT signal_id, symbol, side, quantity, layers, time, stop_loss, take_profit, reason, due,"
        " filled, parts, why FROM orders WHERE state = 'waiting' ORDER BY place, number"
    ):
        order = Order(
            signal_id=row[0],
            symbol=row[1],
            side=Side(row[2]),
            quantity=Decimal(row[3]),
            layers=row[4],
            time=moment(row[5]),
            stop_loss=_decimal(row[6]),
            take_profit=_decimal(row[7]),
            reason=FillReason(row[8]),
            due=None if row[9] is None else moment(row[9]),
            filled=Decimal(row[10]),
            parts=row[11],
            why=row[12],
        )
        desk.orders.setdefault(order.symbol, []).append(order)
    orders = "FROM orders WHERE reason = 'signal'"
    (newest,) = sql.execute(f"SELECT coalesce(max(time), 0) {orders}").fetchone()
    kept = micros(moment(newest) - KEPT)
    times = sql.execute(f"SELECT time {orders} AND time > ?", (kept,))
    desk.pace = Pace(moment(time) for (time,) in times)
    _take_over(sql, desk, wanted)


def _recompute(sql: sqlite3.Connection) -> Book:
    """Return the book that the fills make; a ledger's own totals are only compared with it."""
    put_in = [Decimal(row[0]) for row in sql.execute("SELECT amount FROM capital ORDER BY number")]
    book = Book.opened_with(put_in[0])
    for amount in put_in[1:]:
        book.put_in(amount)
    for side, symbol, *amounts in sql.execute(
        "SELECT side, symbol, quantity, price, fee FROM fills ORDER BY number"
    ):
        quantity, price, fee = map(Decimal, amounts)
        book.execute(Side(side), symbol, quantity, price, fee)
    return book


def _compare(sql: sqlite3.Connection, name: str, book: Book) -> None:
    written = [
        ("cash", book.cash, sql.execute("SELECT cash FROM account").fetchone()[0]),
        (
            "realised profit",
            book.realised,
            sql.execute("SELECT realised FROM account").fetchone()[0],
        ),
        ("fees", book.fees, sql.execute("SELECT fees FROM account").fetchone()[0]),
    ]
    rows = {row[0]: row[1:] for row in sql.execute("SELECT symbol, quantity, cost FROM positions")}
    for symbol in rows.keys() | book.positions.keys():
        held = book.positions.get(symbol, Position(ZERO, ZERO))
        quantity, cost = rows.get(symbol, ("0", "0"))
        written += [
            (f"quantity of {symbol}", held.quantity, quantity),
            (f"cost of {symbol}", held.cost, cost),
        ]
    for what, computed, stored in written:
        if computed != Decimal(stored):
            raise LedgerError(
                f"{name} does not balance: {what} was {stored}, and its fills make {computed}; {_FIX}"
            )


def _take_over(sql: sqlite3.Connection, desk: Desk, wanted: Decimal) -> None:
    book = desk.book
    peak, drawdown, sample_s, sampled, day_ends, day_equity = sql.execute(
        "SELECT peak, max_drawdown, sample_s, sampled, day_ends, day_equity FROM account"
    ).fetchone()
    desk.day = Day(moment(day_ends), Decimal(day_equity))
    book.peak, book.max_drawdown = Decimal(peak), Decimal(drawdown)
    desk.last_bucket = sampled
    if desk.sample_s <= sample_s:
        desk.sample_s = sample_s
    else:  # the entry wants a coarser curve now
        desk.last_bucket = sampled * sample_s // desk.sample_s
    if wanted != book.capital:
        sql.execute("INSERT INTO capital (amount) VALUES (?)", (str(wanted - book.capital),))
        desk.put_in(wanted - book.capital)
        sql.execute(
            "UPDATE account SET cash = ?, peak = ?, day_equity = ?",
            (str(book.cash), str(book.peak), str(desk.day.equity)),
        )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
