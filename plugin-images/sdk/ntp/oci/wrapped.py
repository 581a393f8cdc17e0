"""gzip that does not compress: bytes that follow from the content alone, whatever zlib is here."""

import struct
import zlib
from typing import IO

_HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
"""gzip, deflate, no name, no time, no system (RFC 1952)."""
_BLOCK = 65_535


class Wrapped:
    """Writes stored blocks of deflate (RFC 1951, 3.2.4), all of them full but the last."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._rest = bytearray()
        self._crc = 0
        self._size = 0
        out.write(_HEADER)

    def write(self, content: bytes) -> int:
        self._crc = zlib.crc32(content, self._crc)
        self._size += len(content)
        self._rest += content
        at = 0
        # The last block carries a mark, and which one that is is only known at the end.
        while len(self._rest) - at > _BLOCK:
            self._block(self._rest[at : at + _BLOCK], last=False)
            at += _BLOCK
        del self._rest[:at]
        return len(content)

    def end(self) -> None:
        self._block(self._rest, last=True)
        self._out.write(struct.pack("<II", self._crc, self._size & 0xFFFF_FFFF))

    def _block(self, content: bytearray, *, last: bool) -> None:
        size = len(content)
        self._out.write(struct.pack("<BHH", last, size, size ^ 0xFFFF) + content)
