"""Keeping what the next life needs: in the plugin's own durable folder, without one in its bucket."""

import os
from pathlib import Path

import msgspec

from ntp.bucket import Bucket, BucketError
from ntp.contract.reading import reader
from ntp.runner.core import border
from ntp.runner.core.kept import Kept
from ntp.runner.ending import EndError, say

FILE = ".ntp-kept.json"


class Keeper:
    """Reads once and replaces as a whole."""

    def __init__(self, folder: Path | None, bucket: Bucket) -> None:
        self._file = None if folder is None else folder / FILE
        self._bucket = bucket
        self._last = b""

    async def load(self) -> Kept:
        """Return what was kept last; nothing where that cannot be read, which is told.

        Raises:
            EndError: the bus does not say: a life that began anew would do again what was done.
        """
        try:
            payload = await self._read()
            return _read(payload) if payload else Kept()
        except BucketError as error:
            raise EndError("StateUnavailable", f"the state of the last life: {error}") from error
        except (OSError, msgspec.MsgspecError) as error:
            say(f"what was kept cannot be read, so this life begins anew: {error}")
            return Kept()

    async def save(self, kept: Kept) -> None:
        """Replace what was kept, durably and at once.

        Raises:
            RefusedError: a snapshot holds what JSON cannot say, or is too large.
            OSError: the storage is full or gone; the bus does not take it.
        """
        if self._file is None:
            payload = border.encoded(kept, most=_LARGEST_IN_BUCKET)
        else:
            payload = border.encoded(kept, most=_LARGEST)
        if payload == self._last:
            return
        if self._file is not None:
            _replace(self._file, payload)
        else:
            try:
                await self._bucket.store(payload)
            except BucketError as error:
                raise OSError(str(error)) from error
        self._last = payload

    async def _read(self) -> bytes:
        if self._file is None:
            return await self._bucket.load()
        return self._file.read_bytes() if self._file.exists() else b""


def _replace(file: Path, payload: bytes) -> None:
    fresh = file.with_suffix(".new")
    with fresh.open("wb") as stream:
        stream.write(payload)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


_LARGEST = 16 * 1024 * 1024
_LARGEST_IN_BUCKET = border.LARGEST_MESSAGE
_read = reader(msgspec.json.Decoder(Kept))
