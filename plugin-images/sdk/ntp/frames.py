"""Reading what the server writes: messages at once and in one piece, the rest as nats-py does."""

from typing import Any

from ntp.bare_nats import Parser, errors

_CRLF = b"\r\n"
_LONGEST = 1024 * 1024
"""Bytes of a line of the server; what it says of itself is the longest."""


class Frames(Parser):
    """Cuts what was read into frames, each looked at once, and copies nothing but payloads.

    nats-py matches up to eight patterns for a message, moves what is left of its buffer twice and
    awaits two coroutines. Words are parted by single blanks alone, as the server parts them: to it
    whatever else is blank may be part of a subject.
    """

    def __init__(self, client: Any) -> None:
        self._rest = b""
        """The beginning of a frame."""
        super().__init__(client)

    def reset(self) -> None:
        """Forget the beginning of a frame: the connection it came by is gone."""
        super().reset()
        self._rest = b""

    async def parse(self, data: bytes = b"") -> None:
        """Hand each message in `data` to the client's `take`, then ring; keep what is not yet whole.

        Raises:
            errors.ProtocolError: this is no server.
        """
        if self._rest:
            data = self._rest + data
        size, at = len(data), 0
        take, find = self.nc.take, data.find
        while at < size:
            end = find(_CRLF, at)
            if end < 0:
                if size - at > _LONGEST:
                    raise errors.ProtocolError("nats: a line without an end")
                break
            words = data[at:end].split(b" ")
            kind, begin = words[0], end + 2
            if kind in {b"MSG", b"HMSG"}:
                headed = kind == b"HMSG"
                try:
                    sid, length = int(words[2]), int(words[-1])
                    head = int(words[-2]) if headed else 0
                    reply = words[3] if len(words) == 5 + headed else b""
                except (IndexError, ValueError) as error:
                    raise errors.ProtocolError("nats: malformed MSG") from error
                if not 0 <= head <= length:
                    raise errors.ProtocolError("nats: malformed MSG")
                body, end = begin + head, begin + length
                if end + 2 > size:
                    break
                if headed:
                    await self.nc.take_headed(
                        sid, words[1], reply, data[begin:body], data[body:end]
                    )
                else:
                    take(sid, words[1], reply, data[begin:end])
            else:
                await super().parse(data[at:begin])
            at = end + 2
        self._rest = data[at:]
        self.nc.news.ring()
