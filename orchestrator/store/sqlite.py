"""The store as one SQLite file in the state folder: durable, atomic, one writer.

At open the file is checked; what was lost of a damaged one is known until somebody has acknowledged it.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from orchestrator.decide.state import Record
from orchestrator.errors import ConflictError, UnreachableError
from orchestrator.ports import Event, Revision
from orchestrator.store import state_file
from orchestrator.store.state_file import DAMAGE, Damage, put

KEPT_EVENTS = 10_000
KEPT_REVISIONS = 200
SAME_EVENT_S = 600
"""An event that repeats within this time of its last count is counted, not written again."""


class SqliteStore:
    """`with SqliteStore.open(path) as store`. Not for two threads, nor for two writers: see Lease."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make the file, mode 0600.

        Raises:
            UnreachableError: the folder cannot be written or the disk is full.
            NtpError: a newer release made the file.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = state_file.opened(path)
        except (OSError, sqlite3.OperationalError) as error:
            raise UnreachableError(f"the state file {path} cannot be opened: {error}") from error
        return cls(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def current(self) -> Revision | None:
        rows = self._rows("SELECT body FROM revisions ORDER BY number DESC LIMIT 1")
        return _revision(rows[0][0]) if rows else None

    def save(self, revision: Revision, *, expect: int | None) -> None:
        """Add a revision; `expect` is the newest number that the caller knows, None for none yet."""
        with self._change() as change:
            found = change.execute("SELECT max(number) FROM revisions").fetchone()[0]
            if found != expect:
                raise ConflictError(
                    f"revision {found} was applied meanwhile (you saw {expect or 'none'}); plan again"
                )
            put(change, "revisions", revision.number, _text(revision))
            oldest = revision.number - KEPT_REVISIONS
            change.execute("DELETE FROM revisions WHERE number <= ?", (oldest,))

    def revisions(self) -> Sequence[Revision]:
        return [
            _revision(row[0]) for row in self._rows("SELECT body FROM revisions ORDER BY number")
        ]

    def records(self) -> Mapping[str, Record]:
        rows = self._rows("SELECT name, body FROM records ORDER BY name")
        return {name: msgspec.json.decode(body, type=Record) for name, body in rows}

    def put(self, name: str, record: Record) -> None:
        self.put_all({name: record})

    def put_all(self, records: Mapping[str, Record]) -> None:
        with self._change() as change:
            for name, record in records.items():
                put(change, "records", name, _text(record))

    def forget(self, name: str) -> None:
        with self._change() as change:
            change.execute("DELETE FROM records WHERE name = ?", (name,))

    def log(self, event: Event) -> None:
        """Write an event, or count it if the last one of that name is the same and not old.

        It survives our end at once, a power cut once a record is written: nothing goes by an event.
        """
        at = event.at.timestamp()
        with self._change(wait=False) as change:
            last = change.execute(
                "SELECT id, type, reason, message, at FROM events WHERE name = ? ORDER BY id DESC LIMIT 1",
                (event.name,),
            ).fetchone()
            same = last is not None and last[1:4] == (event.type, event.reason, event.message)
            if same and at - last[4] < SAME_EVENT_S:
                change.execute(
                    "UPDATE events SET count = count + ?, at = ? WHERE id = ?",
                    (event.count, at, last[0]),
                )
                return
            row = change.execute(
                "INSERT INTO events (name, type, reason, message, at, count) VALUES (?, ?, ?, ?, ?, ?)",
                (event.name, event.type, event.reason, event.message, at, event.count),
            ).lastrowid
            if row is not None and row % 100 == 0:
                change.execute("DELETE FROM events WHERE id <= ?", (row - KEPT_EVENTS,))

    def events(self, *, name: str | None, limit: int) -> Sequence[Event]:
        """Return the newest `limit` events, oldest first."""
        where = "" if name is None else "WHERE name = ?"
        query = f"SELECT at, name, type, reason, message, count FROM events {where} ORDER BY at DESC, id DESC LIMIT ?"  # noqa: S608 - two constants
        rows = self._rows(query, *(() if name is None else (name,)), limit)
        return [Event(datetime.fromtimestamp(row[0], UTC), *row[1:]) for row in reversed(rows)]

    def setting(self, key: str) -> str | None:
        rows = self._rows("SELECT value FROM settings WHERE key = ?", key)
        return rows[0][0] if rows else None

    @property
    def repaired(self) -> str:
        damage = self._damage()
        return damage.words if damage is not None else ""

    def lost(self, setting: str) -> bool:
        """Whether a setting is not there and something was damaged: what it was, nobody knows."""
        return self._damage() is not None and self.setting(setting) is None

    def lost_records(self, names: Collection[str]) -> Sequence[str]:
        damage = self._damage()
        if damage is None or not damage.records:
            return []
        there = {row[0] for row in self._rows("SELECT name FROM records")}
        return sorted(set(names) - there)

    def numbered(self) -> int:
        found, damage = self._rows("SELECT max(number) FROM revisions")[0][0], self._damage()
        return max(found or 0, damage.revision if damage is not None else 0)

    def acknowledge(self) -> None:
        with self._change() as change:
            change.execute("DELETE FROM settings WHERE key = ?", (DAMAGE,))

    def set(self, key: str, value: str) -> None:
        with self._change() as change:
            put(change, "settings", key, value)

    async def kept(self, *, setting: str = "", record: str = "") -> None:
        """Return at once: what was put is on the disk."""

    def _damage(self) -> Damage | None:
        text = self.setting(DAMAGE)
        return None if text is None else msgspec.json.decode(text, type=Damage)

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise UnreachableError(f"the state file cannot be read: {error}") from error

    @contextlib.contextmanager
    def _change(self, *, wait: bool = True) -> Iterator[sqlite3.Connection]:
        """`wait` False: whoever changes something next waits for the disk for both."""
        connection = self._connection
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if wait else 'NORMAL'}")
            # IMMEDIATE takes the write lock before the first read: no answer is out of date.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise UnreachableError(f"the state file cannot be written: {error}") from error


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _revision(body: str) -> Revision:
    return msgspec.json.decode(body, type=Revision)
