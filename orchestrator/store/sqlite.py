"""The store as one SQLite file in the state folder: durable, atomic, one writer.

Each row of revisions and records carries a checksum of its text. At open the file is checked; a
damaged one is kept aside under another name, and what can still be read of it is put into a new one.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from orchestrator.decide.state import Record
from orchestrator.errors import ConflictError, NtpError, UnreachableError
from orchestrator.ports import Event, Revision

FORMAT = 1
"""Raised when the tables change; a file of a newer format is left alone."""
KEPT_EVENTS = 10_000
KEPT_REVISIONS = 200
SAME_EVENT_S = 600
"""An event that repeats within this time of its last count is counted, not written again."""

_TABLES = """
CREATE TABLE IF NOT EXISTS revisions (number INTEGER PRIMARY KEY, body TEXT NOT NULL, sum TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, body TEXT NOT NULL, sum TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL, sum TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, reason TEXT NOT NULL,
    message TEXT NOT NULL, at REAL NOT NULL, count INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_name ON events (name, id);
"""
_BODIES = {
    "revisions": ("number", "body"),
    "records": ("name", "body"),
    "settings": ("key", "value"),
}
_NORMAL = 1  # of `PRAGMA synchronous`: a commit does not wait for the disk


class SqliteStore:
    """`with SqliteStore.open(path) as store`. Not for two threads, nor for two writers: see Lease."""

    def __init__(self, connection: sqlite3.Connection, repaired: str) -> None:
        self._connection = connection
        self.repaired = repaired
        """What was found damaged at open, in words; empty: nothing."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make the file, mode 0600.

        Raises:
            UnreachableError: the folder cannot be written or the disk is full.
            NtpError: a newer release made the file.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            connection, repaired = _sound(path)
        except (OSError, sqlite3.OperationalError) as error:
            raise UnreachableError(f"the state file {path} cannot be opened: {error}") from error
        return cls(connection, repaired)

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
            _put(change, "revisions", revision.number, _text(revision))
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
                _put(change, "records", name, _text(record))

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

    def lost(self, setting: str) -> bool:
        """Whether a setting is not there and may have been in the damaged part: which part that was, nobody knows."""
        return bool(self.repaired) and self.setting(setting) is None

    def set(self, key: str, value: str) -> None:
        with self._change() as change:
            _put(change, "settings", key, value)

    async def kept(self, *, setting: str = "", record: str = "") -> None:
        """Return at once: what was put is on the disk."""

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
            usual = connection.execute("PRAGMA synchronous").fetchone()[0]
            connection.execute(f"PRAGMA synchronous = {usual if wait else min(usual, _NORMAL)}")
            try:
                # IMMEDIATE takes the write lock before the first read: no answer is out of date.
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            finally:
                connection.execute(f"PRAGMA synchronous = {usual}")
        except sqlite3.Error as error:
            raise UnreachableError(f"the state file cannot be written: {error}") from error


def _put(change: sqlite3.Connection, table: str, key: int | str, text: str) -> None:
    change.execute(
        f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)",  # noqa: S608 - a constant
        (key, text, _sum(table, key, text)),
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _revision(body: str) -> Revision:
    return msgspec.json.decode(body, type=Revision)


def _sum(table: str, key: int | str, text: str) -> str:
    return hashlib.sha256(json.dumps([table, key, text]).encode()).hexdigest()


def _sound(path: Path) -> tuple[sqlite3.Connection, str]:
    """Return a connection to a sound file, and what was wrong with the one that was found."""
    connection = _connect(path)
    try:
        wrong = _check(connection)
        if not wrong:
            _prepare(connection)
            return connection, ""
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            connection.close()
            raise
        wrong = str(error)
    except BaseException:
        connection.close()
        raise
    rescued = {table: list(_readable(connection, table)) for table in _BODIES}
    connection.close()
    aside = _put_aside(path)
    fresh = _connect(path)
    path.chmod(0o600)
    _prepare(fresh)
    for table, rows in rescued.items():
        for key, text in rows:
            _put(fresh, table, key, text)
    counted = ", ".join(f"{len(rows)} {table}" for table, rows in rescued.items())
    return (
        fresh,
        f"the state file was damaged ({wrong}); kept as {aside.name}, {counted} were saved",
    )


def _connect(path: Path) -> sqlite3.Connection:
    # check_same_thread: an async program may close it from the thread that runs its last callback.
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError:
        pass  # not a database: the check says so
    return connection


def _check(connection: sqlite3.Connection) -> str:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        raise NtpError(
            f"the state file has format {version}, made by a newer ntpctl; this one knows {FORMAT}"
        )
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        return str(found).splitlines()[0]
    if version == 0:
        return ""
    for table, (key, body) in _BODIES.items():
        rows = connection.execute(f"SELECT {key}, {body}, sum FROM {table}")  # noqa: S608 - constants
        for name, text, total in rows:
            if total != _sum(table, name, text):
                return f"{table} {name}: its checksum does not fit"
    return ""


def _readable(connection: sqlite3.Connection, table: str) -> Iterator[tuple[int | str, str]]:
    key, body = _BODIES[table]
    try:
        for name, text, total in connection.execute(f"SELECT {key}, {body}, sum FROM {table}"):  # noqa: S608 - constants
            if isinstance(text, str) and total == _sum(table, name, text):
                yield name, text
    except sqlite3.DatabaseError:
        return  # what came before the damaged page is kept


def _put_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        journal = path.with_name(path.name + suffix)
        if journal.exists():
            journal.replace(aside.with_name(aside.name + suffix))
    return aside


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(_TABLES)
    connection.execute(f"PRAGMA user_version = {FORMAT}")
