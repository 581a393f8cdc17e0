"""A plugin's files as they are read: regular files only, bounded, and one digest for all of them."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MAX_FILES = 2_000
MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 16

_LEFT_OUT = frozenset({"__pycache__", "node_modules"})
_LEFT_OUT_AT_TOP = frozenset({"tests", "README.md"})
_COMPILED = frozenset({".pyc", ".pyo"})


class TreeError(Exception):
    """These files cannot be a plugin: what was found, and `fix`."""

    def __init__(self, message: str, *, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Tree:
    """Path with `/` -> content. Modes and times are left out: a copy is the same plugin."""

    files: Mapping[str, bytes]
    digest: str = field(init=False)
    """SHA-256, hexadecimal, over the sorted paths and contents."""

    def __post_init__(self) -> None:
        total = hashlib.sha256(b"ntp tree 1\n")
        for path in sorted(self.files):
            name = path.encode()
            total.update(len(name).to_bytes(4, "big") + name)
            total.update(hashlib.sha256(self.files[path]).digest())
        object.__setattr__(self, "digest", total.hexdigest())


def read_file(path: Path) -> bytes:
    """Return a regular file's content; a link, device, pipe or oversized file is a TreeError."""
    return _read(str(path), None, MAX_BYTES, shown=path.name)


def read_folder(folder: Path) -> Tree:
    """Return every file that belongs to the plugin in `folder`.

    Left out, for it never runs: hidden files, compiled files, `tests` and `README.md` at the top,
    and locks (they say which wheels, and are looked at by themselves).
    """
    try:
        mode = folder.lstat().st_mode
    except OSError as error:
        raise TreeError(_said(error, folder.name), fix="check the folder's permissions") from error
    if not stat.S_ISDIR(mode):
        raise TreeError(f"'{folder.name}' is {_kind(mode)}", fix="name a real folder")
    files: dict[str, bytes] = {}
    left = MAX_BYTES
    for path, name, dir_fd in _walk(folder):
        content = _read(name, dir_fd, left, shown=path)
        left -= len(content)
        files[path] = content
        if len(files) > MAX_FILES:
            raise TreeError(
                f"'{folder.name}' has more than {MAX_FILES:,} files",
                fix="keep data and environments out of the plugin's folder",
            )
    return Tree(files)


def _walk(folder: Path) -> Iterator[tuple[str, str, int]]:
    for where, folders, names, dir_fd in os.fwalk(folder, onerror=_raise):
        inside = PurePosixPath(where).relative_to(PurePosixPath(folder))
        top = inside == PurePosixPath()
        folders[:] = sorted(name for name in folders if not _is_left_out(name, top=top))
        if len(inside.parts) > MAX_DEPTH:
            raise TreeError(
                f"'{inside.parts[0]}' is nested deeper than {MAX_DEPTH} folders",
                fix="make it flatter",
            )
        for name in folders:
            # fwalk lists a link to a folder as a folder, and then silently does not enter it.
            mode = os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(mode):
                raise TreeError(
                    f"'{inside / name}' is {_kind(mode)}", fix="put the files themselves there"
                )
        for name in sorted(names):
            if not _is_left_out(name, top=top):
                _check_name(name)
                yield str(inside / name), name, dir_fd


def _is_left_out(name: str, *, top: bool) -> bool:
    if name.startswith(".") or name in _LEFT_OUT or PurePosixPath(name).suffix in _COMPILED:
        return True
    return top and (name in _LEFT_OUT_AT_TOP or name.endswith(".lock"))


def _check_name(name: str) -> None:
    if not name.isprintable():
        raise TreeError(
            f"a file's name was {name!r}", fix="use letters, digits, '_', '-' and '.' in names"
        )


def _read(name: str, dir_fd: int | None, limit: int, *, shown: str) -> bytes:
    # O_NONBLOCK: opening a named pipe would wait for a writer for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=dir_fd)
    except OSError as error:
        mode = _mode(name, dir_fd)
        if mode is not None and not stat.S_ISREG(mode):
            raise TreeError(
                f"'{shown}' is {_kind(mode)}", fix="put a regular file there instead"
            ) from error
        raise TreeError(_said(error, shown), fix="check the file's permissions") from error
    with os.fdopen(fd, "rb") as file:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise TreeError(f"'{shown}' is {_kind(mode)}", fix="put a regular file there instead")
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise TreeError(_said(error, shown), fix="check the file") from error
    if len(content) > limit:
        raise TreeError(
            f"with '{shown}' the plugin has more than {MAX_BYTES // 1024**2} MiB",
            fix="keep data out of the plugin's folder: a plugin is given its data, or fetches it",
        )
    return content


def _mode(name: str, dir_fd: int | None) -> int | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode
    except OSError:
        return None


def _kind(mode: int) -> str:
    for test, words in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISREG, "a file"),
    ):
        if test(mode):
            return words
    return "a device"


def _said(error: OSError, name: str) -> str:
    return f"'{name}' cannot be read: {(error.strerror or str(error)).lower()}"


def _raise(error: OSError) -> None:
    raise TreeError(
        _said(error, Path(error.filename or "?").name), fix="check the folder's permissions"
    ) from error
