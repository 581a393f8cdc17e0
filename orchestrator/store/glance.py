"""What was applied last, read beside the one who writes: a command looks before it asks."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import UnreachableError

_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'revisions'"
_RUNTIME = "SELECT value FROM settings WHERE key = 'runtime'"
_DESIRED = "SELECT value FROM settings WHERE key = 'desired'"
_RESOLVED = "SELECT json_extract(body, '$.resolved') FROM revisions"
_LAST = "SELECT json_extract(body, '$.settings.folder') FROM revisions ORDER BY number DESC LIMIT 1"


def applied_from(path: Path) -> str | None:
    """Return the folder that was applied last, empty if it is not known; None: nothing was applied."""
    if not path.exists():
        return _unless_damaged(path)
    try:
        # Not mode=ro: what a killed writer left in the journal can only be read by one who may write.
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)
        ) as connection:
            made = connection.execute(_TABLE).fetchone()
            rows = connection.execute(_LAST).fetchall() if made else []
    except sqlite3.Error:
        # Damaged, or of another release: the controller that opens it says so.
        return ""
    return str(rows[0][0] or "") if rows else _unless_damaged(path)


def runtime_of(path: Path) -> str:
    """Return the runtime on which a project was applied; empty: none, or it cannot be read."""
    if not path.exists():
        return ""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)
        ) as connection:
            rows = connection.execute(_RUNTIME).fetchall()
    except sqlite3.Error:
        return ""
    return str(rows[0][0]) if rows else ""


def images_of(path: Path) -> dict[str, str]:
    """Return entry -> image by digest that it was applied with last, of entries that name one."""
    if not path.exists():
        return {}
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)
        ) as connection:
            rows = connection.execute(_DESIRED).fetchall()
        entries = json.loads(rows[0][0])["entries"] if rows else {}
        return {
            name: image
            for name, entry in entries.items()
            if (image := entry["kept"][str(entry["wanted"])]["artifact"].get("image"))
        }
    except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError):
        # Damaged, or of another release: then a tag is asked anew, by who only looks.
        return {}


@dataclass(frozen=True, slots=True)
class Recorded:
    """`applied`: entry -> digest of its plugin. `all`: those of every generation and revision kept, too."""

    applied: Mapping[str, str]
    all: frozenset[str]


def recorded(path: Path) -> Recorded:
    """Return the plugins that a project may run again, by digest.

    Raises:
        UnreachableError: the file cannot be read.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)
        ) as connection:
            desired = connection.execute(_DESIRED).fetchall()
            resolved = connection.execute(_RESOLVED).fetchall()
        entries = json.loads(desired[0][0])["entries"] if desired else {}
        every = {str(digest) for row in resolved for digest in json.loads(row[0]).values()}
        applied = {}
        for name, entry in entries.items():
            kept = {number: each["artifact"]["digest"] for number, each in entry["kept"].items()}
            applied[name] = str(kept[str(entry["wanted"])])
            every.update(map(str, kept.values()))
    except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreachableError(
            f"{path} cannot be read, so what it may run again is not known: {error}"
        ) from error
    return Recorded(applied, frozenset(every))


def _unless_damaged(path: Path) -> str | None:
    """What was applied may be in a file that was put aside, and run still."""
    return "" if any(path.parent.glob(f"{path.name}.damaged-*")) else None
