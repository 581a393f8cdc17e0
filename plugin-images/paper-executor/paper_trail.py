"""What a replay of this ledger needs: in which order its ticks and signals were taken, and from where.

The order is kept in pieces, in the same transactions as what came of it. Each piece has where the ledger
stood when it began, so that a replay can begin there, and the rules that were in force: a halt or other
limits begin a new piece. The oldest pieces go when there is no room.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from ntp.contract.messages import Noticed
from ntp.engine.trail import Trail

COUNTED = ("capital", "signals", "orders", "fills", "equity")
"""Tables whose rows are only ever added, or changed while they wait."""
REPLACED = {
    "account": "SELECT * FROM account",
    "positions": "SELECT * FROM positions ORDER BY symbol",
    "seen": "SELECT * FROM seen ORDER BY symbol",
    "orders": "SELECT * FROM orders WHERE state = 'waiting' ORDER BY number",
}
"""What a piece begins with in full, by table."""
PIECE = 4096
"""Bytes of steps; where a state takes much room there are more steps to it."""
WEIGHT = 4
"""Bytes of steps to each byte of a state."""
MOST_WAITING = 65_536
"""Bytes of steps in memory: while nothing is held no tick is a reason to write."""
_NEXT = """
SELECT 1 + max((SELECT coalesce(max(number), 0) FROM trail), (SELECT coalesce(max(first), 1) FROM pieces) - 1)
"""
"""The number of the next row of steps: on from the newest piece where all others made room."""
_ROW = 16
"""Bytes that a row takes besides its content, about."""


class PaperTrail:
    """Args:
    most: bytes that all pieces may take, about.
    rules: what decides besides ticks and signals, as JSON values.
    """

    def __init__(
        self, sql: sqlite3.Connection, most: int, rules: Callable[[], dict[str, Any]]
    ) -> None:
        self._sql = sql
        self._most = most
        self._rules = rules
        self._trail = Trail()
        self._left = 0
        """Bytes until the piece is full; 0: the next transaction begins one."""
        (steps,) = sql.execute("SELECT coalesce(sum(length(steps) + 16), 0) FROM trail").fetchone()
        (states,) = sql.execute("SELECT coalesce(sum(length(state)), 0) FROM pieces").fetchone()
        self._bytes = steps + states

        self.tick = self._trail.tick
        self.signal = self._trail.signal

    @property
    def is_long(self) -> bool:
        """Whether so much waits that it has to be written."""
        return self._trail.waiting > min(MOST_WAITING, self._most // 4)

    @property
    def waits(self) -> bool:
        """Whether something was noted that is not written."""
        return self._trail.waiting > 0

    def notice(self, noticed: Iterable[Noticed]) -> None:
        """Write when the strategy learned of fills; within a transaction."""
        rows = (
            (each.fill, each.source, each.incarnation, each.symbol, each.seq) for each in noticed
        )
        self._sql.executemany(
            # Of fills of ours alone: whoever says so is in a strategy's hands.
            "REPLACE INTO noticed SELECT ?1, ?2, ?3, ?4, ?5"
            " WHERE EXISTS (SELECT 1 FROM fills WHERE id = ?1)",
            rows,
        )

    def turn(self) -> None:
        """Begin a new piece with what comes: the rules are others. What waits belongs to the old one."""
        self._left = 0
        self._trail.begin()

    def begin(self) -> None:
        """Call first in each transaction, while the ledger still stands where the last one left it."""
        if self._left > 0:
            return
        state = json.dumps(self._state(), separators=(",", ":"))
        if len(state) > self._most // 8:
            state = ""  # of ten thousand symbols: no replay begins here
        (first,) = self._sql.execute(_NEXT).fetchone()
        rules = json.dumps(self._rules(), sort_keys=True)
        self._sql.execute(
            "INSERT INTO pieces (first, rules, state) VALUES (?, ?, ?)", (first, rules, state)
        )
        self._left = max(PIECE, WEIGHT * len(state))
        self._bytes += len(state)
        self._make_room()

    def end(self) -> None:
        """Call last in each transaction."""
        steps = self._trail.take()
        if not steps:
            return
        self._sql.execute(f"INSERT INTO trail (number, steps) VALUES (({_NEXT}), ?)", (steps,))  # noqa: S608 - our own words
        self._left -= len(steps)
        self._bytes += len(steps) + _ROW
        if self._left <= 0:
            self._trail.begin()

    def _state(self) -> dict[str, Any]:
        counts = {
            table: self._sql.execute(f"SELECT coalesce(max(number), 0) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
            for table in COUNTED
        }
        rows = {table: list(self._sql.execute(query)) for table, query in REPLACED.items()}
        return {"counts": counts, "rows": rows}

    def _make_room(self) -> None:
        """Drop the oldest pieces, but never the newest."""
        while self._bytes > self._most:
            pieces = list(
                self._sql.execute("SELECT number, first, state FROM pieces ORDER BY number LIMIT 2")
            )
            if len(pieces) < 2:
                return
            number, _, state = pieces[0]
            before = pieces[1][1]
            (gone,) = self._sql.execute(
                "SELECT coalesce(sum(length(steps) + 16), 0) FROM trail WHERE number < ?", (before,)
            ).fetchone()
            self._sql.execute("DELETE FROM trail WHERE number < ?", (before,))
            self._sql.execute("DELETE FROM pieces WHERE number = ?", (number,))
            self._bytes -= gone + len(state)
