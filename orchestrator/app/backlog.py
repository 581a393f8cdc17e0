"""What was heard and not looked at yet: bounded, the oldest goes and is counted."""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

MOST_MESSAGES = 1024
MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of the bus. `dropped`: ticks, values, signals, fills for which there was no room before it."""

    at: datetime
    subject: str
    payload: bytes
    dropped: int = 0


class Backlog:
    """One thread puts what it hears, another takes it."""

    def __init__(self, *, messages: int = MOST_MESSAGES, size: int = MOST_BYTES) -> None:
        self._messages = messages
        self._size = size
        self._waiting: deque[tuple[datetime, str, bytes]] = deque()
        self._bytes = 0
        self._dropped = 0
        self._begun = False
        self._failure: Exception | None = None
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, subject: str, payload: bytes) -> None:
        with self._changed:
            self._waiting.append((datetime.now(UTC), subject, payload))
            self._bytes += len(payload)
            while len(self._waiting) > self._messages or self._bytes > self._size:
                _, old, lost = self._waiting.popleft()
                self._bytes -= len(lost)
                self._dropped += _held(old, lost)
            self._changed.notify()

    def begin(self) -> None:
        """Say that from now on nothing is missed."""
        with self._changed:
            self._begun = True
            self._changed.notify()

    def fail(self, error: Exception) -> None:
        """Say that nothing more will come, and why."""
        with self._changed:
            self._failure = error
            self._changed.notify()

    def begun(self, within_s: float) -> bool:
        """Wait for `begin`; False if it does not come in time. Raises what was said to `fail`."""
        with self._changed:
            self._changed.wait_for(lambda: self._begun or self._failure, timeout=within_s)
            if self._failure is not None and not self._begun:
                raise self._failure
            return self._begun

    def take(self, within_s: float) -> Heard | None:
        """Return the oldest; None if there is none in time.

        Raises:
            Exception: what was said to `fail`, once all that came before was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._failure, timeout=within_s)
            if self._waiting:
                at, subject, payload = self._waiting.popleft()
                self._bytes -= len(payload)
                dropped, self._dropped = self._dropped, 0
                return Heard(at, subject, payload, dropped)
            if self._failure is not None:
                raise self._failure
            return None


class _Batch(msgspec.Struct):
    """The batches of sources and indicators, no deeper than it takes to count what is in them."""

    ticks: list[msgspec.Raw] = []
    values: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(_Batch).decode


def _held(subject: str, payload: bytes) -> int:
    """Count what a message held: a batch of ticks or values may hold thousands, or none."""
    if not subject.startswith(("data.", "ind.")):
        return 1
    try:
        batch = _decode(payload)
    except msgspec.MsgspecError:
        return 1
    return len(batch.ticks) + len(batch.values)
