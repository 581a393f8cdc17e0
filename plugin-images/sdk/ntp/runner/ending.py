"""A runner's last words: why it ended by its own decision, left where the runtime finds them."""

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from ntp.contract.launch import TERMINATION_FILE, Termination

LONGEST = 4096
"""Bytes of the file, as Kubernetes reads of its terminationMessagePath."""

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
"""EFBIG: one file larger than the folder may be."""


def say(words: str) -> None:
    """Write a line for `ntpctl logs`."""
    print(f"ntp: {words}", file=sys.stderr, flush=True)  # noqa: T201 - the container's log


def what_to_raise(error: BaseException | None) -> str:
    """Return what to do where a folder was full, to be added to the words; empty: none was."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _FULL:
            return "; /tmp is full: raise resources.tmp (or storage, if it was written there)"
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return ""


class EndError(Exception):
    """Ends the runner with these words. `permanent`: no retry helps until config or code changes."""

    def __init__(self, reason: str, message: str, *, permanent: bool = False) -> None:
        super().__init__(f"{reason}: {message}")
        self.termination = Termination(reason, message, permanent)

    @property
    def exit_code(self) -> int:
        return 2 if self.termination.permanent else 1


class LastWords:
    """The termination file, open from the start: a dump of a blocked process goes there too."""

    def __init__(self, folder: Path) -> None:
        try:
            descriptor = os.open(folder / TERMINATION_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        except OSError:  # none is provided here; whoever reads standard error sees it
            descriptor = os.dup(2)
        self.file: BinaryIO = os.fdopen(descriptor, "wb", buffering=0)

    def say(self, termination: Termination) -> None:
        message = termination.message
        payload = msgspec.json.encode(termination)
        while len(payload) > LONGEST:
            message = message[: len(message) * LONGEST // len(payload) - 8]
            shortened = Termination(termination.reason, f"{message} …", termination.permanent)
            payload = msgspec.json.encode(shortened)
        self.file.write(payload)

    def close(self) -> None:
        self.file.close()
