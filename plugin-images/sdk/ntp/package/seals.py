"""Folders of the cache that have to stay as they were made: what is in them is compared before it is used."""

import hashlib
import hmac
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ntp.package.cache import Cache
from ntp.package.seal_key import SealKey

ROOM = "seals"
_CHUNK = 1024**2
_CODE = "hmac-sha256"

_Mark = tuple[tuple[str, int, int, int, int, int], ...]
"""Of each file and folder: path, kind, number, size, and when it and its content were touched last."""


class Seals:
    """Keeps what is in folders of the cache, by the folder's name.

    What is kept lies in the same cache, so it bears a code that only who has the key can make. A folder that
    nobody has touched since this process compared it is not read again.
    """

    def __init__(self, cache: Cache, key: SealKey) -> None:
        self._cache = cache
        self._key = key
        self._compared: dict[Path, _Mark] = {}

    def note(self, folder: Path, name: str) -> None:
        """Keep what is in a folder that will have this name.

        Raises:
            PackageError: the cache cannot be made.
            OSError: the folder cannot be read, or the cache not be written.
        """
        content = _content(folder, _mark(folder))
        self._cache.write(ROOM, name, {**content, _CODE: self._code(name, content)})

    def hold(self, folder: Path) -> bool:
        """Whether a folder is there, with exactly the files that were noted with our key."""
        try:
            mark = _mark(folder)
            if self._compared.get(folder) == mark:
                return True
            said = self._cache.read(ROOM, folder.name)
            # Who made it larger shall not be read to the end of what they put there.
            extent = _extent(mark)
            if not isinstance(said, dict) or any(said.get(key) != extent[key] for key in extent):
                return False
            content = _content(folder, mark)
            if said != {**content, _CODE: self._code(folder.name, content)}:
                return False
        except OSError:
            return False
        self._compared[folder] = mark
        return True

    def _code(self, name: str, content: Mapping[str, object]) -> str:
        """Of the name too: what one folder was sealed with is none of another's."""
        text = json.dumps([name, content], sort_keys=True)
        return hmac.new(self._key.read(), text.encode(), "sha256").hexdigest()


def _mark(folder: Path) -> _Mark:
    """Look at everything, and read nothing."""
    found = [("", folder.lstat())]
    waiting = [(folder, "")]
    while waiting:
        where, below = waiting.pop()
        with os.scandir(where) as entries:
            for entry in entries:
                seen, path = entry.stat(follow_symlinks=False), f"{below}{entry.name}"
                found.append((path, seen))
                if stat.S_ISDIR(seen.st_mode):
                    waiting.append((where / entry.name, f"{path}/"))
    return tuple(
        (path, stat.S_IFMT(one.st_mode), one.st_ino, one.st_size * stat.S_ISREG(one.st_mode), one.st_mtime_ns, one.st_ctime_ns)
        for path, one in sorted(found)
    )  # fmt: skip


def _extent(mark: _Mark) -> Mapping[str, int]:
    return {"entries": len(mark), "bytes": sum(each[3] for each in mark)}


def _content(folder: Path, mark: _Mark) -> dict[str, object]:
    total = hashlib.sha256(b"ntp seal 1\n")
    for path, kind, *_ in mark:
        name = os.fsencode(path)
        total.update(b"%d %d " % (kind, len(name)) + name)
        if kind == stat.S_IFREG:
            total.update(_digest(folder / path))
    return {**_extent(mark), "sha256": total.hexdigest()}


def _digest(file: Path) -> bytes:
    found = hashlib.sha256()
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as content:  # fmt: skip
        while chunk := content.read(_CHUNK):
            found.update(chunk)
    return found.digest()
