"""A runner's last words: why it ended by its own decision, left where the runtime finds them."""

import os
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from ntp.contract.launch import TERMINATION_FILE, Termination

LONGEST = 4096
"""Bytes of the file, as Kubernetes reads of its terminationMessagePath."""


def say(words: str) -> None:
    """Write a line for `ntpctl logs`."""
    print(f"ntp: {words}", file=sys.stderr, flush=True)  # noqa: T201 - the container's log


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
