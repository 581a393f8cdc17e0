"""Keeping what the next life needs, in the plugin's own durable folder."""

import os
from pathlib import Path

import msgspec

from ntp.contract.reading import reader
from ntp.runner.core import border
from ntp.runner.core.kept import Kept
from ntp.runner.ending import say

FILE = ".ntp-kept.json"


class Keeper:
    """Without a folder it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / FILE
        self._last = b""

    @property
    def keeps(self) -> bool:
        return self._file is not None

    def load(self) -> Kept:
        """Return what was kept last; nothing where that cannot be read, which is told."""
        if self._file is None or not self._file.exists():
            return Kept()
        try:
            return _read(self._file.read_bytes())
        except (OSError, msgspec.MsgspecError) as error:
            say(f"{FILE} in the storage cannot be read, so this life begins anew: {error}")
            return Kept()

    def save(self, kept: Kept) -> None:
        """Replace what was kept, durably and at once.

        Raises:
            RefusedError: a snapshot holds what JSON cannot say.
            OSError: the storage is full or gone.
        """
        if self._file is None:
            return
        payload = border.encoded(kept, most=_LARGEST)
        if payload == self._last:
            return
        fresh = self._file.with_suffix(".new")
        with fresh.open("wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._last = payload

    def forget(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._last = b""


_LARGEST = 16 * 1024 * 1024
_read = reader(msgspec.json.Decoder(Kept))
