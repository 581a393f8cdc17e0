"""The kernel's small text files: read what is there, write without creating, wait with a deadline."""
# ruff: noqa: PTH106  # pathlib costs the shim 5 ms

import os
import time
from collections.abc import Callable

_POLL_S = 0.005
_CHUNK = 65_536


def read(path: str) -> str:
    """Return the text, or nothing where the file is absent or may not be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    # A text file object costs three times as much, and a look reads ten of these for each plugin.
    found = bytearray()
    try:
        while chunk := os.read(fd, _CHUNK):
            found += chunk
    except OSError:
        return ""
    finally:
        os.close(fd)
    return found.decode("utf-8", "replace")


def write(path: str, text: str) -> None:
    """Write in one call, which is how the kernel parses it. Never creates: a typo makes no file."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def number(text: str) -> int:
    """Return the first word as a number; 0 for none, and for `max`."""
    word = text.split(maxsplit=1)[0] if text.split() else ""
    return int(word) if word.lstrip("-").isdigit() else 0


def field(text: str, key: str) -> int:
    """Return the number in the line `key number`, or 0."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return number(value)
    return 0


def rmdir(folder: str) -> bool:
    """Say whether the folder is gone."""
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Ask again until it is so (True) or the time is up (False); asks at least once."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
