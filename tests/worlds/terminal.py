"""A command on a terminal of so many columns, as a person runs it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

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
