"""The paper executor's ledger: one strategy's desk in SQLite, one durable transaction a change."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import to_builtins
from paper_rows import amount, keep_order, micros, moment
from paper_share import Share
from paper_trail import PaperTrail

from ntp.contract.messages import Fill, FillReason, Noticed, Side, TradingSignal
from ntp.engine.changes import Change
from ntp.engine.desk import Desk
from ntp.engine.orders import Order
from ntp.engine.trail import Place


class LedgerError(Exception):
    """The ledger cannot be used; says what was found and what to do."""


class Ledger:
    """Writes what a desk does, and puts a desk back to where it was.

    `paper_restore.open_ledger` makes one. `counts` has how many rows the tables have had. After any failure of a write the desk is ahead of the
    ledger, so every further call is refused: a restart resumes from what is durable.
    """

    def __init__(self, connection: sqlite3.Connection, name: str, desk: Desk, share: Share) -> None:
        self.name = name
        self.share = share
        self.max_points = share.points
        self.max_idle_signals = share.idle_signals
        self._sql = connection
        self._desk = desk
        self.counts = {table: self._count(table) for table in ("signals", "orders", "fills")}
        self._touched: set[str] = set()
        self._trail = PaperTrail(connection, share.trail, self._rules)
        self._flatten = False
        self._failed = False

    def touch(self, symbol: str, place: Place | None) -> None:
        """Note that a tick of this symbol was seen; the next transaction keeps how far it came.

        `place`: which one, for a replay to take them in the same order.
        """
        self._touched.add(symbol)
        if place is not None:
            self._trail.tick(place)

    def rest(self) -> None:
        """Keep what was noted of ticks that changed nothing, once there is much of it."""
        if self._trail.is_long:
            self._write()

    def turn(self, *, flatten: bool = False) -> None:
        """Note that other rules hold at the desk from here on."""
        if self._trail.waits:
            self._write()
        self._trail.turn()
        self._flatten = flatten

    def keep_noticed(self, noticed: Sequence[Noticed]) -> None:
        with self._transaction():
            self._trail.notice(noticed)

    def _write(self) -> None:
        with self._transaction():
            pass

    @property
    def full(self) -> bool:
        """Whether nothing is to be opened any more, for what is kept of it has no room."""
        return self.share.full(self._sql)

    def knows(self, signal_id: str, time: datetime) -> bool:
        """Whether this signal was consumed."""
        self._refuse_after_failure()
        row = self._sql.execute("SELECT forgotten_to FROM account").fetchone()
        if micros(time) <= row[0]:
            return True
        found = self._sql.execute("SELECT 1 FROM signals WHERE id = ?", (signal_id,)).fetchone()
        return found is not None

    def keep_signal(
        self, signal_id: str, time: datetime, signal: TradingSignal, outcome: Order | str
    ) -> None:
        ordered = isinstance(outcome, Order)
        words = outcome if isinstance(outcome, str) else "ordered"
        if isinstance(outcome, Order) and outcome.why:
            words = f"ordered what closes; refused: {outcome.why}"
        with self._transaction() as sql:
            self._trail.signal()
            number = sql.execute(
                "INSERT INTO signals (id, time, symbol, type, size, price, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    signal_id,
                    micros(time),
                    signal.symbol,
                    signal.signal_type,
                    signal.size,
                    signal.price,
                    words,
                ),
            ).lastrowid
            if isinstance(outcome, Order):
                keep_order(sql, outcome)
            elif number is not None and number % self.share.look_every == 0:
                self._forget_idle_signals(number)
        self.counts["signals"] += 1
        self.counts["orders"] += ordered

    def keep_change(self, change: Change) -> None:
        with self._transaction() as sql:
            for fill in change.fills:
                self._keep_fill(sql, fill)
            for order in change.orders:
                keep_order(sql, order)
            if change.sample is not None:
                sample = change.sample
                row = (
                    micros(sample.time),
                    str(sample.equity),
                    str(sample.cash),
                    bool(change.fills),
                )
                number = sql.execute(
                    "INSERT INTO equity (time, equity, cash, fill) VALUES (?, ?, ?, ?)", row
                ).lastrowid
                if number is not None and number % self.share.look_every == 0:
                    self._thin_out()
            self._keep_account(sql)
        self.counts["fills"] += len(change.fills)
        if any(order.leaves for order in change.orders):
            self.counts["orders"] = self._count("orders")

    def fills_of(self, signal_id: str) -> list[Fill]:
        return self._fills("WHERE signal_id = ? ORDER BY number", (signal_id,))

    def newest_fills(self, count: int) -> list[Fill]:
        """Return the last `count` fills, oldest first."""
        return self._fills("ORDER BY number DESC LIMIT ?", (count,))[::-1]

    def _count(self, table: str) -> int:
        """Return how many rows a table has had."""
        row = self._sql.execute(f"SELECT coalesce(max(number), 0) FROM {table}").fetchone()  # noqa: S608 - our own names
        return int(row[0])

    def close(self) -> None:
        if self._trail.waits and not self._failed:
            with suppress(LedgerError):  # what is not written is taken again
                self._write()
        self._sql.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._refuse_after_failure()
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            self._trail.begin()
            yield self._sql
            self._trail.end()
            for symbol in self._touched:
                seen = self._desk.seen[symbol]
                self._sql.execute(
                    "REPLACE INTO seen VALUES (?, ?, ?, ?)",
                    (
                        symbol,
                        micros(seen.time),
                        json.dumps(sorted(seen.ids)),
                        self._desk.book.marks[symbol],
                    ),
                )
            self._sql.execute("COMMIT")
            self._touched.clear()
        except BaseException as error:
            self._failed = True
            if isinstance(error, sqlite3.Error):
                raise LedgerError(
                    f"{self.name} could not be written: {error}; raise the entry's 'storage' if it"
                    " is full, then restart the executor"
                ) from error
            raise

    def _keep_fill(self, sql: sqlite3.Connection, fill: Fill) -> None:
        sql.execute(
            "INSERT INTO fills (id, signal_id, symbol, side, quantity, price, fee, realised, reason,"
            " time, tick_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                fill.id,
                fill.signal_id,
                fill.symbol,
                fill.side,
                str(fill.quantity),
                str(fill.price),
                str(fill.fee),
                str(fill.realised),
                fill.reason,
                micros(fill.time),
                fill.tick_id,
            ),
        )
        held = self._desk.book.positions.get(fill.symbol)
        if held is None:
            sql.execute("DELETE FROM positions WHERE symbol = ?", (fill.symbol,))
        else:
            sql.execute(
                "REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    fill.symbol,
                    str(held.quantity),
                    str(held.cost),
                    held.layers,
                    held.signal_id,
                    amount(held.stop_loss),
                    amount(held.take_profit),
                ),
            )

    def _keep_account(self, sql: sqlite3.Connection) -> None:
        book, desk = self._desk.book, self._desk
        amounts = (book.cash, book.realised, book.fees, book.peak, book.max_drawdown)
        sql.execute(
            "UPDATE account SET cash = ?, realised = ?, fees = ?, peak = ?, max_drawdown = ?,"
            " sample_s = ?, sampled = ?, day_ends = ?, day_equity = ?",
            (
                *map(str, amounts),
                desk.sample_s,
                desk.last_bucket,
                micros(desk.day.ends),
                str(desk.day.equity),
            ),
        )

    def _forget_idle_signals(self, newest: int) -> None:
        oldest_kept = newest - self.max_idle_signals
        idle = "FROM signals WHERE outcome NOT LIKE 'ordered%' AND number <= ?"
        (time,) = self._sql.execute(f"SELECT max(time) {idle}", (oldest_kept,)).fetchone()
        if time is not None:
            self._sql.execute("UPDATE account SET forgotten_to = max(forgotten_to, ?)", (time,))
            self._sql.execute(f"DELETE {idle}", (oldest_kept,))

    def _thin_out(self) -> None:
        """Drop every second point of the curve when it has too many, and space the next ones wider."""
        (points,) = self._sql.execute("SELECT count(*) FROM equity WHERE fill = 0").fetchone()
        if points <= self.max_points:
            return
        desk = self._desk
        self._sql.execute(
            "DELETE FROM equity WHERE fill = 0 AND (time / ?) % 2 = 1", (desk.sample_s * 1_000_000,)
        )
        desk.sample_s *= 2
        desk.last_bucket //= 2

    def _fills(self, which: str, values: tuple[object, ...]) -> list[Fill]:
        columns = (
            "id, signal_id, symbol, side, quantity, price, fee, realised, reason, time, tick_id"
        )
        rows = self._sql.execute(f"SELECT {columns} FROM fills {which}", values)  # noqa: S608 - our own text
        return [self._fill(*row) for row in rows]

    def _fill(self, *row: str) -> Fill:
        fill_id, signal_id, symbol, side, quantity, price, fee, realised, reason, time, tick = row
        return Fill(
            id=fill_id,
            signal_id=signal_id,
            executor=self._desk.executor,
            strategy=self._desk.strategy,
            symbol=symbol,
            side=Side(side),
            quantity=Decimal(quantity),
            price=Decimal(price),
            fee=Decimal(fee),
            realised=Decimal(realised),
            reason=FillReason(reason),
            time=moment(int(time)),
            tick_id=tick,
        )

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise LedgerError(f"{self.name} could not be written before; restart the executor")

    def _rules(self) -> dict[str, Any]:
        """Return what decides besides ticks and signals, as JSON values."""
        desk = self._desk
        return {
            "costs": {name: amount(value) for name, value in asdict(desk.costs).items()},
            "trading": to_builtins(desk.trading),
            "sample_s": desk.sample_s,
            "halted": desk.halted,
            "flatten": bool(desk.halted) and self._flatten,
        }
