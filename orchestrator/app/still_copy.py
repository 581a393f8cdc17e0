"""A copy of a database that another process is writing, as it was at one moment."""

import shutil
import time
from pathlib import Path

from orchestrator.errors import ActionError

WITHIN_S = 20.0
_PAUSE_S = 0.02


def still_copy(file: Path, folder: Path, *, within_s: float = WITHIN_S) -> bool:
    """Copy a SQLite database with its log into a folder; False: there is none.

    Its writer has it locked for as long as it lives, so nobody else can open it. But a copy during which
    neither file changed is what lies on disk at one moment, and that is always whole.

    Raises:
        ActionError: LedgerBusy, where it changed all the time; ReplayRefused, where it may not be read.
    """
    log = file.with_name(f"{file.name}-wal")
    ends = time.monotonic() + within_s
    while True:
        try:
            before = _state(file, log)
            if before[0] is None:
                return False
            # The log first: what is taken over from it into the file is then in one of the two.
            for one in (log, file):
                if one.exists():
                    shutil.copyfile(one, folder / one.name)
            if _state(file, log) == before:
                return True
            (folder / log.name).unlink(missing_ok=True)
        except PermissionError as error:
            raise ActionError(
                f"{error.filename} may not be read\n  fix: run it as whoever runs the controller",
                reason="ReplayRefused",
            ) from error
        except FileNotFoundError:
            pass  # the log went meanwhile
        if time.monotonic() > ends:
            raise ActionError(
                f"the ledger {file.name} was written without a pause for {within_s:.0f} s\n"
                "  fix: try again when there is less to do",
                reason="LedgerBusy",
            )
        time.sleep(_PAUSE_S)


def _state(*files: Path) -> list[tuple[int, int, int] | None]:
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            stat = file.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return found
