"""What a plugin's process left in its folder, read as what a stranger wrote.

The plugin may write there, so a name may be a link to any file of this machine, a pipe that nobody writes
to, or no JSON. Nothing is followed, nothing waits, nothing is read without end.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ntp.examination.fault import ConfinedError

LONGEST_LINE = 4 * 1024**2
"""Bytes; a message has less than one MiB."""
LARGEST = 64 * 1024**2
"""Bytes of a file that is read whole."""
_FIX = "let the plugin leave the files alone that it did not make itself"
_DEEP = (str, list, dict)


def opened(file: Path) -> BinaryIO:
    """Open a regular file to read.

    Raises:
        FileNotFoundError: there is none.
        ConfinedError: it is a link, a pipe, a folder or a device.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(file, flags)
    except FileNotFoundError:
        raise
    except OSError as error:  # a link, a socket, or what may not be read
        raise _broken(file, (error.strerror or str(error)).lower()) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise _broken(file, "it is no regular file")
    return os.fdopen(number, "rb")


def content(file: Path, most: int = LARGEST) -> bytes:
    """Return a file of at most so many bytes.

    Raises:
        FileNotFoundError: there is none.
        ConfinedError: it is no such file.
    """
    with opened(file) as found:
        text = found.read(most + 1)
    if len(text) > most:
        raise _broken(file, f"it has more than {most >> 10:,} KiB")
    return text


def lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file; none, if there is no file.

    Raises:
        ConfinedError: it is no regular file, or a line is too long.
    """
    try:
        found = opened(file)
    except FileNotFoundError:
        return
    with found:
        while line := found.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise _broken(file, f"a line has more than {LONGEST_LINE >> 20} MiB")
            yield line


def records(file: Path, kind: type[Any]) -> Iterator[Any]:
    """Yield what each line says.

    Raises:
        ConfinedError: as `lines`, or a line does not say that.
    """
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode
    for number, line in enumerate(lines(file), 1):
        try:
            yield decode(line)
        except (msgspec.MsgspecError, ValueError) as error:
            raise _broken(file, f"line {number:,}: {_plain(error)}") from error


def claim(file: Path, kind: type[Any]) -> Any:
    """Return what a file says, each text in it as one line without what a terminal would obey.

    Raises:
        FileNotFoundError: there is none.
        ConfinedError: it is no such file, or does not say that.
    """
    text = content(file)
    try:
        said = msgspec.json.decode(text)
        return msgspec.convert(said if _is_plain(text) else printable(said), kind, str_keys=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _broken(file, _plain(error)) from error


def printable(found: Any) -> Any:
    """Return the same with each text as one line of printable characters; no marks of direction either."""
    match found:
        case str():
            line = " ".join(found.split())
            return line if line.isprintable() else "".join(filter(str.isprintable, line))
        case list():
            # Most are lists of numbers, and a call for each took longer than all the rest of a claim.
            return [printable(each) if isinstance(each, _DEEP) else each for each in found]
        case dict():
            return {printable(name): printable(each) for name, each in found.items()}
        case _:
            return found


def _is_plain(document: bytes) -> bool:
    """Return whether `printable` would leave each text of this JSON as it is; to look once is far quicker."""
    text = document.decode()
    # Without an escape a text is what stands between its quotes.
    return text.isprintable() and not any(each in text for each in ("\\", "  ", '" ', ' "'))


def _plain(error: Exception) -> str:
    return str(printable(str(error)))[:200]


def _broken(file: Path, why: str) -> ConfinedError:
    return ConfinedError(f"what it left as {file.name} cannot be read: {why}", _FIX)
