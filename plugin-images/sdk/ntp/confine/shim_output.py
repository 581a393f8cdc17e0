"""What a plugin prints: made harmless, cut to lines, kept in two bounded files.

A plugin's output is untrusted (escape sequences, endless lines, floods), and it must never be able to
fill a disk, a terminal or a core. Light imports only: see shim_files.
"""
# ruff: noqa: PTH104, SIM105  # see files.py

import os
import time

from ntp.confine import shim_files

LINE_BYTES = 16 * 1024
FILE_BYTES = 1024 * 1024
BUDGET_BYTES_S = 256 * 1024
"""What a plugin may print for long; above it, once `BURST_BYTES` are used up, lines are dropped."""
BURST_BYTES = 1024 * 1024
READ_BYTES_S = 8 * 1024 * 1024
"""How fast dropped output is read at most; beyond it the plugin waits in its own print()."""
LAST_LINES = 20
LAST_LINE_CHARS = 1000

_C0 = bytes(byte for byte in range(32) if byte not in b"\t\n") + b"\x7f"
# In UTF-8 too: C1 (U+009B opens an escape sequence on some terminals), line and paragraph separator,
# and the direction marks by which a line can show something else than it says.
_HARMFUL = dict.fromkeys(
    (*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
)


def harmless(line: bytes) -> str:
    """Return the text without control characters (tab stays); wrong UTF-8 becomes U+FFFD."""
    text = line.translate(None, _C0).decode("utf-8", "replace")
    return text if text.isascii() else text.translate(_HARMFUL)


class LogFiles:
    """`log` and, once it is full, `log.1`: twice `FILE_BYTES` at most."""

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{shim_files.LOG}"
        self._before = f"{folder}/{shim_files.LOG_BEFORE}"
        self.lost = 0
        """Bytes that could not be written: the disk is full."""
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, records: bytes) -> None:
        """Append whole records. A full disk loses output, never the plugin."""
        try:
            if self._size + len(records) > FILE_BYTES and self._size:
                self._turn()
            written = os.write(self._fd, records)
        except OSError:
            written = 0
        self._size += written
        self.lost += len(records) - written

    def _turn(self) -> None:
        try:
            os.rename(self._path, self._before)
        except FileNotFoundError:
            pass  # done before, when there was no room for a new file
        full = self._fd
        self._open()  # refused, it leaves us the full one, which is still ours
        os.close(full)

    def close(self) -> None:
        os.close(self._fd)


class Output:
    """All output of one plugin, on its way from pipes to files.

    `now` in every call is a monotonic time in seconds; the clock on the wall only labels lines.
    """

    def __init__(self, files: LogFiles, now: float) -> None:
        self._files = files
        self._rest: dict[str, bytes] = {}
        self._last: list[str] = []
        self._budget = float(BURST_BYTES)
        self._refilled = now
        self._dropped_lines = 0
        self._dropped_bytes = 0
        self._second = 0
        self._stamp = ""

    @property
    def last(self) -> tuple[str, ...]:
        """The last lines, oldest first."""
        return tuple(self._last)

    def note(self, text: str) -> None:
        """Add a line of the runtime itself."""
        self._files.write(self._record("ntp", "F", text))

    def feed(self, stream: str, data: bytes, now: float) -> float:
        """Take what was read from `stream`; return for how long not to read again, in seconds.

        A last line without its end waits for more (`finish`), unless it is too long already.
        """
        self._budget = min(BURST_BYTES, self._budget + (now - self._refilled) * BUDGET_BYTES_S)
        self._refilled = now
        if self._budget < len(data):
            self._dropped_bytes += len(data)
            self._dropped_lines += data.count(b"\n")
            self._rest.pop(stream, None)
            return len(data) / READ_BYTES_S
        self._budget -= len(data)
        self._report()
        lines = (self._rest.pop(stream, b"") + data).split(b"\n")
        rest = lines.pop()
        records = [record for line in lines for record in self._records(stream, line, end=True)]
        while len(rest) >= LINE_BYTES:
            records.extend(self._records(stream, rest[:LINE_BYTES], end=False))
            rest = rest[LINE_BYTES:]
        if rest:
            self._rest[stream] = rest
        if records:
            self._files.write(b"".join(records))
        return 0.0

    def finish(self) -> None:
        """Nothing more comes: write unfinished lines and what is owed to the reader."""
        for stream, rest in self._rest.items():
            self._files.write(b"".join(self._records(stream, rest, end=True)))
        self._rest.clear()
        self._report()

    def _report(self) -> None:
        if self._dropped_bytes:
            self.note(
                f"dropped {self._dropped_lines} lines ({self._dropped_bytes} bytes): "
                f"more than {BUDGET_BYTES_S // 1024} KiB/s of output"
            )
            self._dropped_lines = self._dropped_bytes = 0
        if self._files.lost:
            lost, self._files.lost = self._files.lost, 0
            self.note(f"lost {lost} bytes of output: the disk of the state folder was full")

    def _records(self, stream: str, line: bytes, *, end: bool) -> list[bytes]:
        parts = [line[at : at + LINE_BYTES] for at in range(0, len(line), LINE_BYTES)] or [b""]
        texts = [harmless(part) for part in parts]
        self._last.extend(text[:LAST_LINE_CHARS] for text in texts)
        del self._last[:-LAST_LINES]
        final = len(texts) - 1
        return [
            self._record(stream, "F" if end and at == final else "P", text)
            for at, text in enumerate(texts)
        ]

    def _record(self, stream: str, tag: str, text: str) -> bytes:
        second, fraction = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{fraction // 1000:06d}Z {stream} {tag} {text}\n".encode()
