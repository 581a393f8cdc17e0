"""Reads for a command what it would read itself: the same files by the same code, in a process that has all of it imported.

Nothing is kept from one time to the next. Where the command might read something else than we do, it
is told to read it itself.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import orchestrator
from orchestrator.app.declaration import gather, settle
from orchestrator.controller.outside import Edit
from orchestrator.errors import NtpError
from orchestrator.ports import Asked

ROOTS = ("/", "/proc/self/ns/mnt")
"""Of whoever has these as we have, each path means the same file."""
OF_THE_PROCESS = ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")
"""Variables that `~` and platformdirs read in whichever process they are asked."""


class Rereading:
    """Call it to read, in a thread. `state`: the folder of the project that is ours."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._program = _program()

    def __call__(self, asked: Asked) -> Edit | None:
        if asked.program != self._program or not _as_here(asked):
            return None
        try:
            folder = Path(asked.folder)
            gathered = gather(asked.files, environment=asked.environment, cwd=folder)
            settings = gathered.settings
            if settings.state != self._state or settings.context is not None:
                return None  # it is about another project
            if gathered.mistakes or asked.seen != _seen(settings.files):
                return None
            declared = settle(gathered)
        except (NtpError, OSError):
            return None  # which is for the command to tell
        if not declared.sandbox:
            return None  # each time somebody has to confirm it
        return Edit(declared.sources, declared.decisive, declared.secrets)


def _program() -> tuple[int, int, int]:
    """Return what tells our release from another one, also where that has taken its place on the disk."""
    found = Path(orchestrator.__file__).stat()
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _as_here(asked: Asked) -> bool:
    """Whether paths, `~` and the folders of this user mean to the command what they mean to us."""
    if any(asked.environment.get(name) != os.environ.get(name) for name in OF_THE_PROCESS):
        return False
    try:
        return asked.seen[: len(ROOTS)] == _seen(())
    except OSError:
        return False


def _seen(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    """Return what tells roots and files from all others of the same name."""
    found = (path.stat() for path in (*map(Path, ROOTS), *files))
    return tuple((each.st_dev, each.st_ino) for each in found)
