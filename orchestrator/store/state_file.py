"""The state file: its tables, a checksum for each row, and a sound file in the place of a damaged one.

What can still be read of a damaged file is written to another one, with a note of what may be lost, and
only when all of that is on the disk does it take the place: cut off anywhere, the next open goes on.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from pathlib import Path

import msgspec

from orchestrator.errors import NtpError

FORMAT = 1
"""Raised when the tables change; a file of a newer format is left alone."""
DAMAGE = "damage"
"""Setting: the `Damage` of the file that this one was made from, until somebody knows of it."""
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
_JOURNALS = ("", "-wal", "-shm")
_HIGHEST = 2**31
"""A larger number of a revision is none: its bits were flipped."""


class Damage(msgspec.Struct, frozen=True):
    """`words`: what was found. `records`: some may be lost. `revision`: the highest number that one may have had."""

    words: str
    records: bool
    revision: int


class _Rows:
    """What can be read of a table. `whole` False: not all of it."""

    def __init__(self, connection: sqlite3.Connection, table: str) -> None:
        key, body = _BODIES[table]
        self.sound: list[tuple[int | str, str]] = []
        self.numbers = [0]
        """Keys that are numbers, those of damaged rows too."""
        self.whole = True
        try:
            for name, text, total in connection.execute(f"SELECT {key}, {body}, sum FROM {table}"):  # noqa: S608 - constants
                if isinstance(name, int) and 0 < name < _HIGHEST:
                    self.numbers.append(name)
                if isinstance(text, str) and total == _sum(table, name, text):
                    self.sound.append((name, text))
                else:
                    self.whole = False
        except sqlite3.DatabaseError:
            self.whole = False  # what came before the damaged page is kept


def opened(path: Path) -> sqlite3.Connection:
    """Return a connection to a sound file, mode 0600; what it was made from is kept beside it.

    Raises:
        OSError, sqlite3.OperationalError: it cannot be read or written, and is as it was.
        NtpError: a newer release made the file.
    """
    _take_the_place(path)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = _connect(path)
    try:
        wrong = _check(connection)
        if not wrong:
            _prepare(connection)
            return connection
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            connection.close()
            raise
        wrong = str(error)
    except BaseException:
        connection.close()
        raise
    _rescue(connection, path, wrong)
    _take_the_place(path)
    return _connect(path)


def put(change: sqlite3.Connection, table: str, key: int | str, text: str) -> None:
    change.execute(
        f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)",  # noqa: S608 - a constant
        (key, text, _sum(table, key, text)),
    )


def _sum(table: str, key: int | str, text: str) -> str:
    # What is no text any more has another sum than any text.
    return hashlib.sha256(json.dumps([table, key, text], default=repr).encode()).hexdigest()


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
    found = _order(connection)
    if found != "ok":
        return found.splitlines()[0]
    if version == 0:
        return ""
    for table, (key, body) in _BODIES.items():
        rows = connection.execute(f"SELECT {key}, {body}, sum FROM {table}")  # noqa: S608 - constants
        for name, text, total in rows:
            if total != _sum(table, name, text):
                return f"{table} {name}: its checksum does not fit"
    return ""


def _order(connection: sqlite3.Connection) -> str:
    """Return what is wrong with the pages; "ok": nothing, so that each row is found."""
    try:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(_TABLES)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _rescue(damaged: sqlite3.Connection, path: Path, wrong: str) -> None:
    """Write what can be read to a file that is ready to take the place, and end the connection."""
    with contextlib.closing(damaged):
        ordered = _order(damaged) == "ok"
        tables = {table: _Rows(damaged, table) for table in _BODIES}
    counted = ", ".join(f"{len(rows.sound)} {table}" for table, rows in tables.items())
    damage = Damage(
        words=f"the state file was damaged ({wrong}); kept as {_aside(path).name}, {counted} were saved",
        records=not (ordered and tables["records"].whole),
        # Where rows were not found the newest may be among them.
        revision=max(tables["revisions"].numbers) + (not ordered),
    )
    draft = path.with_name(f"{path.name}.rescue")
    draft.unlink(missing_ok=True)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        # No write-ahead log: when it is closed the one file has all.
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as fresh:
            fresh.execute("PRAGMA synchronous = FULL")
            _prepare(fresh)
            fresh.execute("BEGIN IMMEDIATE")
            for table, rows in tables.items():
                for key, text in rows.sound:
                    put(fresh, table, key, text)
            put(fresh, "settings", DAMAGE, msgspec.json.encode(damage).decode())
            fresh.execute("COMMIT")
    except BaseException:
        draft.unlink(missing_ok=True)  # a full disk has better use for it
        raise
    draft.replace(_ready(path))
    _sync(path.parent)


def _take_the_place(path: Path) -> None:
    """Put a damaged file aside for one that is ready, if there is one."""
    ready = _ready(path)
    if not ready.exists():
        return
    aside = _aside(path)
    # A journal that stayed would be taken for one of the new file.
    for suffix in _JOURNALS:
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.replace(aside.with_name(aside.name + suffix))
    ready.replace(path)
    _sync(path.parent)


def _ready(path: Path) -> Path:
    return path.with_name(f"{path.name}.rescued")


def _aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
