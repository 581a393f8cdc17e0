"""A controller's program that is loaded while a command finds out whether a controller is wanted.

Until it is told so it has touched nothing: no folder, no lock, no socket. It hears it on its standard
input: a line means go, the end of it that nobody wants it, whatever became of the command.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from orchestrator.settings import Settings

LOG = "controller.log"


class Standby:
    """The command's side. `with Standby(settings) as standby`: ended with the block, unless it was sent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sent = False

    def __enter__(self) -> Self:
        settings = self._settings
        # Without a name: it goes with us. A terminal's line may be live, and a log there is not yet.
        self._said = tempfile.TemporaryFile()
        # -P: a folder called `orchestrator` where the user stands is not ours.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "orchestrator", "serve", "--background",
             "--project", settings.project, *(f"--file={path}" for path in settings.files if str(path) != "-")],
            cwd=settings.folder if settings.folder.is_dir() else "/",
            env={
                **os.environ,
                "NTP_STATE": str(settings.state.parent),
                "NTP_CACHE": str(settings.cache),
            },
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        return self

    def __exit__(self, *exc: object) -> None:
        self.dismiss()
        self._said.close()

    def dismiss(self) -> None:
        """End it, unless it was sent; what it said goes with it."""
        if not self._sent:
            self._process.kill()  # there is nothing that it would have to tidy
            self._process.communicate()

    def write_to(self, log: Path) -> None:
        """Append what it said before it wrote to the log itself; after it answers, or has ended."""
        file = self._said.fileno()
        # Not read(): that would move the place where it writes, too.
        if said := os.pread(file, os.fstat(file).st_size, 0):
            with log.open("ab") as end:
                end.write(said)

    def send(self) -> "subprocess.Popen[bytes]":
        """Have it begin, its words in the log of the state folder from now on; return it."""
        self._sent = True
        told = self._process.stdin
        # One that has ended hears nothing; whoever waits for its answer says so.
        with contextlib.suppress(BrokenPipeError):
            if told is not None:
                told.write(b"go\n")
                told.close()
        return self._process


def is_wanted(state: Path) -> bool:
    """The controller's side: wait to be told, then write to the log in `state`, which is there now."""
    if not sys.stdin.readline():
        return False
    with (state / LOG).open("ab") as log, Path(os.devnull).open() as nothing:
        for number in (sys.stdout.fileno(), sys.stderr.fileno()):
            os.dup2(log.fileno(), number)
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    return True
