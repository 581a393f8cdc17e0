"""Content-addressed folders on disk: made once, under a lock, complete or not there at all."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ntp.package.fault import PackageError
from ntp.package.file_lock import hold
from ntp.package.tree import Tree, TreeError, read_folder

LOCK_S = 600.0
"""Longest wait for another process that makes the same folder (an installation may take minutes)."""
ASIDE = ".altered-"
"""Before the name of a folder that is not taken any more."""


def root(environ: Mapping[str, str]) -> Path:
    """Return NTP_CACHE, else the user's cache folder; of root /var/cache, as for every service.

    /root is closed to the plugins' own users.
    """
    if named := environ.get("NTP_CACHE"):
        return Path(named).expanduser().absolute()
    import platformdirs

    return platformdirs.PlatformDirs("ntp", appauthor=False, use_site_for_root=True).user_cache_path


class Cache:
    """Several processes may use one cache at once. Methods block: call them in a thread."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, room: str, digest: str, make: Callable[[Path], None]) -> Path:
        """Return `<root>/<room>/<digest>`; where it is missing, let `make` fill it first.

        Files end up 0444 and folders 0755: every plugin's own uid reads them, nobody writes by
        accident, and `rm -r` of the cache still works for its owner.
        """
        parent = self._room(room)
        target = parent / digest
        if target.is_dir():
            return target
        with self.lock(f"{room}-{digest}"):
            if target.is_dir():
                return target
            with self.scratch(room, digest) as scratch:
                make(scratch)
                _seal(scratch)
                scratch.rename(target)
        return target

    @contextlib.contextmanager
    def scratch(self, room: str, digest: str) -> Iterator[Path]:
        """Yield a folder to fill, for who holds the lock of that name; what is in it after the block goes."""
        parent = self._room(room)
        # The lock is ours, so whatever stands here was left by a process that died.
        for leftover in parent.glob(f".{digest}.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        found = parent / f".{digest}.{secrets.token_hex(4)}"
        with _written():
            try:
                found.mkdir()
                yield found
            finally:
                shutil.rmtree(found, ignore_errors=True)

    def aside(self, room: str, digest: str) -> None:
        """Take an altered folder out of the way, and leave it whole: who runs from it may not have all of it yet."""
        folder = self.root / room / digest
        with _written():
            folder.rename(folder.with_name(f"{ASIDE}{digest}.{secrets.token_hex(4)}"))

    def tree(self, tree: Tree) -> Path:
        """Keep a copy of a plugin's files and return its folder; an altered copy is made again."""

        def write(folder: Path) -> None:
            for path, content in tree.files.items():
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

        folder = self.folder("code", tree.digest, write)
        if self.code(tree.digest) is not None:
            return folder
        with self.lock(f"code-{tree.digest}"):
            if folder.exists() and self.code(tree.digest) is None:
                self.aside("code", tree.digest)
        return self.folder("code", tree.digest, write)

    def code(self, digest: str) -> Path | None:
        """Return the folder with exactly these files; None if it is gone or was altered."""
        folder = self.root / "code" / digest
        try:
            return folder if read_folder(folder).digest == digest else None
        except TreeError:
            return None

    def read(self, room: str, key: str) -> Any | None:
        """Return a small JSON document, or None: absent, torn and altered are the same."""
        try:
            document = json.loads((self.root / room / f"{key}.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(document, dict) or document.get("check") != _check(document.get("value")):
            return None
        return document["value"]

    def write(self, room: str, key: str, value: Any) -> None:
        """Keep a small JSON document; whole or not at all."""
        document = {"check": _check(value), "value": value}
        write_text(self._room(room) / f"{key}.json", json.dumps(document))

    def lock(self, name: str, *, timeout_s: float = LOCK_S) -> AbstractContextManager[None]:
        """Keep every other process (and thread) out; PackageError at the deadline."""
        path = self._room("locks") / f"{name}.lock"
        return hold(path, within_s=timeout_s, held=f"holds '{path.name}'")

    def _room(self, name: str) -> Path:
        folder = self.root / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PackageError(
                f"the cache cannot be made: {error.strerror or error}; set NTP_CACHE to a folder "
                "that can be written",
                reason="CacheFailed",
            ) from error
        return folder


def write_text(path: Path, text: str) -> None:
    """Replace a file as a whole: a reader sees the old text or the new one."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PackageError(
            f"the cache cannot be written: {error.strerror or error}; free space, or set "
            "NTP_CACHE to a folder that can be written",
            reason="CacheFailed",
        ) from error


def _seal(folder: Path) -> None:
    for where, folders, names in os.walk(folder):
        for name in names:
            (Path(where) / name).chmod(0o444)
        for name in folders:
            (Path(where) / name).chmod(0o755)
    folder.chmod(0o755)


def _check(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
