"""The part of the executor's storage that one strategy's ledger may fill.

The executor is ended where all its ledgers together hold more than `storage` allows, so each of them
leaves the others theirs: what opens positions stops early enough for what closes them.
"""

import sqlite3

MAX_POINTS = 20_000
"""Of the equity curve, besides those at fills; beyond it every second one goes."""
MAX_IDLE_SIGNALS = 50_000
"""Signals without an order whose ids are kept; of older ones only the time is."""
FULL = "its part of the storage is full"
"""Kept with each signal that is refused: short."""
_ROW = 2048
"""Of so many bytes of the part one belongs to an idle signal, and one to a point: a few hundred are used."""
_TRAIL = 1 << 20
"""Bytes that tell in which order ticks were taken: half a million ticks of symbols that take turns, more
than the bus captures of a source."""
_WAL_PAGES = 1000
"""SQLite's own measure of when the log is taken over into the file."""
_PAGE = 4096


class Share:
    """Args: part: bytes; 0: there is no limit."""

    def __init__(self, part: int = 0) -> None:
        rows = max(part // _ROW, 1) if part else MAX_IDLE_SIGNALS
        self.part = part
        self.points = min(rows, MAX_POINTS)
        self.idle_signals = min(rows, MAX_IDLE_SIGNALS)
        self.trail = min(part // 16, _TRAIL) if part else _TRAIL
        self.look_every = max(min(1000, self.idle_signals // 4), 1)
        """Rows between two looks whether there are too many."""

    def bound_log(self, sql: sqlite3.Connection) -> None:
        """Keep the write-ahead log, which counts too, at about a sixteenth of the part."""
        if self.part:
            pages = max(min(self.part // 16 // _PAGE, _WAL_PAGES), 1)
            sql.execute(f"PRAGMA wal_autocheckpoint={pages}")

    def full(self, sql: sqlite3.Connection) -> bool:
        """Whether half is used: the rest is for what closes, for idle signals, points, and the log."""
        if not self.part:
            return False
        (pages,) = sql.execute("PRAGMA page_count").fetchone()
        (free,) = sql.execute("PRAGMA freelist_count").fetchone()
        return bool((pages - free) * _PAGE > self.part // 2)

    def words(self) -> str:
        """Say what has happened, and what to do."""
        return f"{FULL} ({self.part / (1 << 20):.3g} MiB); raise the executor's `storage`"
