"""What was installed, updated and taken out, and who had signed it: a line for each, never changed again."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ntp.oci.signing.keyring import configuration
from orchestrator.errors import ActionError
from orchestrator.settings import Settings

LOG = "installed.jsonl"
"""In the user's configuration folder."""

Write = Callable[[Mapping[str, Any]], None]


@contextmanager
def opened(settings: Settings) -> Iterator[Write]:
    """Yield what writes a line, once the log is open: what cannot be written down is not done.

    Raises:
        ActionError: it cannot be written.
    """
    path = _path(settings)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.fdopen(os.open(path, flags, 0o600), "ab", buffering=0)
    except OSError as error:
        raise _unwritten(path, error, "nothing was changed") from error

    def write(row: Mapping[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"at": at, "project": settings.project, **row}) + "\n"
        try:
            file.write(line.encode())
        except OSError as error:
            raise _unwritten(path, error, f"{row['file']} was changed already") from error

    with file:
        yield write


def signer_of(settings: Settings, digest: str) -> str | None:
    """Return the fingerprint of who had signed the image of a digest when it was installed; None: it was not."""
    found = None
    try:
        with _path(settings).open("rb") as file:
            for line in file:
                row = _row(line)
                if row.get("digest") == digest and isinstance(row.get("signed_by"), str):
                    found = row["signed_by"]
    except FileNotFoundError:
        return None
    return found


def _row(line: bytes) -> Mapping[str, Any]:
    # A line that a full disk has cut says nothing; those before and after it do.
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _path(settings: Settings) -> Path:
    return configuration(settings.environment) / LOG


def _unwritten(path: Path, error: OSError, done: str) -> ActionError:
    return ActionError(
        f"{path} cannot be written: {(error.strerror or str(error)).lower()}; {done}\n"
        "  fix: free space, or see who may write there"
    )
