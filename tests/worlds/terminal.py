"""A command on a terminal of so many columns, as a person runs it."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def seen(
    command: Sequence[str], columns: int, *, environment: Mapping[str, str] | None = None
) -> list[str]:
    """Run `command` with all its streams on a terminal; return the lines that a person reads."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        plain = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
        child = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**plain, "TERM": "xterm", **(environment or {})},
        )
        os.close(theirs)
        text = b""
        try:
            # A terminal whose last holder has gone answers with an error, or with nothing.
            while chunk := os.read(ours, 1 << 16):
                text += chunk
        except OSError:
            pass
        child.wait(timeout=60)
    finally:
        os.close(ours)
    return [line.rstrip() for line in _STYLES.sub("", text.decode()).splitlines()]


_OWN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command on a terminal of its own, and a person at its keys. Use it as `with`."""

    def __init__(
        self,
        command: Sequence[str],
        columns: int,
        lines: int,
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(self._ours)
        self.text = b""
        self._more = threading.Condition()
        self._closing = threading.Event()
        plain = {k: v for k, v in environment.items() if k not in {"COLUMNS", "LINES"}}
        with os.fdopen(theirs, "r+b", buffering=0) as end:
            self.child = subprocess.Popen(
                [sys.executable, "-c", _OWN_TERMINAL, *command],
                stdin=end,
                stdout=end,
                stderr=end,
                env={**plain, "TERM": "xterm"},
                cwd=folder,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.hang_up()
        self.child.kill()
        self.child.wait()

    def hang_up(self) -> None:
        """Close the window."""
        if not self._closing.is_set():
            self._closing.set()
            self._reader.join()
            os.close(self._ours)

    @property
    def picture(self) -> list[str]:
        """The lines of what was drawn last."""
        last = self.text.rpartition(b"\x1b[H")[2].decode(errors="replace")
        return [line.rstrip() for line in _STYLES.sub("", last).splitlines()]

    def line(self, number: int) -> str:
        """Return a line of the picture, counted from 0; nothing where it is not drawn yet."""
        return next(iter(self.picture[number : number + 1]), "")

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, claim: Callable[[], object], *, within_s: float = 30.0) -> None:
        """Wait until a claim about what was printed is true; show the text if it never is."""
        with self._more:
            assert self._more.wait_for(claim, timeout=within_s), self.text[-4000:].decode()

    def ended(self, *, within_s: float = 30.0) -> int:
        """Wait for the end of the command; return its exit code."""
        code = self.child.wait(timeout=within_s)
        self._reader.join()
        return code

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self._ours) == self.modes

    def _read(self) -> None:
        # A terminal whose last holder has gone answers with an error, or with nothing.
        with contextlib.suppress(OSError):
            while not self._closing.is_set():
                if not select.select([self._ours], [], [], 0.1)[0]:
                    continue
                chunk = os.read(self._ours, 1 << 16)
                if not chunk:
                    return
                with self._more:
                    self.text += chunk
                    self._more.notify_all()
