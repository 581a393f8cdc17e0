"""A ledger as a replay needs it: as it was when a piece of its trail began, and row by row beside another."""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from paper_ledger import LedgerError
from paper_migrate import SCHEMA_VERSION
from paper_rows import moment
from paper_trail import COUNTED, REPLACED

from ntp.engine.claims import Key
from ntp.engine.trail import Place
from ntp.record import Comparison, Difference, Held, Piece, Signalled

_COMPARED = ("signals", "orders", "fills", "positions", "account", "capital", "seen", "equity")
_TOLD = 1000
"""Fills: more than an executor that is opened tells again."""
_KEYS = {"positions": "symbol", "seen": "symbol", "account": "only_row"}


class PaperRecord:
    """Reads one ledger that nobody writes.

    Raises:
        LedgerError: it is none of this format.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._opened() as sql:
            try:
                found = sql.execute("SELECT value FROM about WHERE key = 'schema'").fetchone()
            except sqlite3.DatabaseError as error:
                raise LedgerError(f"the ledger {file.name} cannot be read: {error}") from error
        if found != (SCHEMA_VERSION,):
            raise LedgerError(
                f"the ledger {file.name} has the format {found[0] if found else 'none'}, and"
                f" {SCHEMA_VERSION} is needed; start its executor once, which brings it to that"
            )

    def pieces(self) -> Sequence[Piece]:
        """Return what is kept of the order, oldest first."""
        with self._opened() as sql:
            rows = list(sql.execute("SELECT number, first, rules, state <> '' FROM pieces"))
            ends = [row[1] for row in rows[1:]] + [2**63 - 1]
            return [
                Piece(number, json.loads(rules), bool(known), _steps(sql, first, end))
                for (number, first, rules, known), end in zip(rows, ends, strict=True)
            ]

    def signals(self, number: int) -> Sequence[Signalled]:
        """Return the signals that were taken from the beginning of a piece on, in order."""
        with self._opened() as sql:
            before = _state(sql, number)["counts"]["signals"]
            rows = "SELECT id, symbol, time FROM signals WHERE number > ? ORDER BY number"
            found = sql.execute(rows, (before,))
            return [Signalled(name, symbol, moment(time)) for name, symbol, time in found]

    def noticed(self) -> Mapping[str, Place | None]:
        """Return by fill which tick of its symbol the strategy had analysed when it learned of it."""
        with self._opened() as sql:
            rows = sql.execute("SELECT fill, source, incarnation, symbol, seq FROM noticed")
            found: dict[str, Place | None] = {fill: (Key(*key), seq) for fill, *key, seq in rows}
            newest = "SELECT max(fills.number) FROM noticed JOIN fills ON fills.id = noticed.fill"
            # No number is above null: of who never said so it is not known of any.
            later = sql.execute(f"SELECT id FROM fills WHERE number > ({newest})")  # noqa: S608
            return found | dict.fromkeys((row[0] for row in later), None)

    def rewind(self, number: int, to: Path) -> Held:
        """Write a ledger as this one was when a piece began; return what was held then."""
        shutil.copyfile(self._file, to)
        with closing(sqlite3.connect(to, isolation_level=None)) as sql:
            state = _state(sql, number)
            counts, rows = state["counts"], state["rows"]
            sql.execute("BEGIN IMMEDIATE")
            # In the order in which they refer to each other.
            for table in ("fills", "orders", "equity", "signals", "capital"):
                sql.execute(f"DELETE FROM {table} WHERE number > ?", (counts[table],))  # noqa: S608 - our own names
            for table in REPLACED:
                if table != "orders":
                    sql.execute(f"DELETE FROM {table}")  # noqa: S608
                for row in rows[table]:
                    marks = ", ".join("?" * len(row))
                    sql.execute(f"REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608
            sql.execute("DELETE FROM trail")
            sql.execute("DELETE FROM pieces")
            sql.execute("DELETE FROM noticed")
            sql.execute("COMMIT")
            held = dict(sql.execute("SELECT symbol, quantity FROM positions"))
            told = sql.execute("SELECT id FROM fills ORDER BY number DESC LIMIT ?", (_TOLD,))
            return Held(held, [row[0] for row in told])

    def compare(self, number: int, other: Path, most: int) -> Comparison:
        """Compare with a ledger that was rewound to a piece and went on."""
        rows: dict[str, tuple[int, int]] = {}
        shown: list[Difference] = []
        differing: dict[str, int] = {}
        with self._opened() as sql, closing(sqlite3.connect(other)) as second:
            counts = _state(sql, number)["counts"]
            for table in _COMPARED:
                live, replayed = _rows(sql, table), _rows(second, table)
                before = counts[table] if table in COUNTED else 0
                new = sum(1 for key in live if not before or key > before)
                rows[table] = (len(live), new)
                for key in sorted(live.keys() | replayed.keys()):
                    one, two = live.get(key), replayed.get(key)
                    if one == two:
                        continue
                    differing[table] = differing.get(table, 0) + 1
                    if differing[table] <= most:
                        shown.append(Difference(table, str(key), one, two))
        return Comparison(rows, shown, differing)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file)) as sql:
            yield sql


def _steps(sql: sqlite3.Connection, first: int, end: int) -> bytes:
    found = sql.execute(
        "SELECT steps FROM trail WHERE number >= ? AND number < ? ORDER BY number", (first, end)
    )
    return b"".join(row[0] for row in found)


def _state(sql: sqlite3.Connection, number: int) -> dict[str, Any]:
    (text,) = sql.execute("SELECT state FROM pieces WHERE number = ?", (number,)).fetchone()
    found: dict[str, Any] = json.loads(text)
    return found


def _rows(sql: sqlite3.Connection, table: str) -> dict[Any, dict[str, Any]]:
    key = _KEYS.get(table, "number")
    cursor = sql.execute(f"SELECT * FROM {table} ORDER BY {key}")  # noqa: S608 - our own names
    names = [column[0] for column in cursor.description]
    at = names.index(key)
    rows = {row[at]: dict(zip(names, row, strict=True)) for row in cursor}
    if table == "account":
        # Up to where signals were forgotten is known of those alone that are still there.
        del rows[1]["forgotten_to"]
    return rows
