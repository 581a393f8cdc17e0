"""What was applied last, read beside the one who writes: a command looks before it asks."""

import contextlib
import json
import sqlite3
from pathlib import Path

_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'revisions'"
_RUNTIME = "SELECT value FROM settings WHERE key = 'runtime'"
_DESIRED = "SELECT value FROM settings WHERE key = 'desired'"
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


def _unless_damaged(path: Path) -> str | None:
    """What was applied may be in a file that was put aside, and run still."""
    return "" if any(path.parent.glob(f"{path.name}.damaged-*")) else None
