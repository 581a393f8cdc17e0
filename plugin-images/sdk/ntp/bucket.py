"""The one message in which a plugin keeps what its next life needs: stored, synced, read again."""

import asyncio
from typing import Any

import msgspec

from ntp.contract import subjects
from ntp.pull import Wire

DEADLINE = 5.0
"""Seconds for an answer: a store that syncs may be slow."""
ASKED_AGAIN = 1.0
"""Seconds until what has no effect is asked again: a stream made just now does not hear yet."""
TRIES = 10
_LAST = msgspec.json.encode({"last_by_subj": ">"})
_NEVER_STORED = 10037
"""JetStream's error code: there is no message."""


class BucketError(Exception):
    """It cannot be read or written now; says why."""


class _Failure(msgspec.Struct, frozen=True):
    description: str = ""
    err_code: int = 0


class _Message(msgspec.Struct, frozen=True):
    data: bytes = b""


class _Answer(msgspec.Struct, frozen=True):
    """To a message that is to be stored its number, to a question the message."""

    seq: int = 0
    message: _Message | None = None
    error: _Failure | None = None


class Bucket:
    """Questions are asked one after another."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._inbox = wire.new_inbox()
        self._listening = False
        self._number = 0
        self._answer: asyncio.Future[tuple[bytes, str]] | None = None
        self._turn = asyncio.Lock()

    async def load(self) -> bytes:
        """Return what was stored last; nothing where that never was.

        Raises:
            BucketError: no answer, or nobody keeps it.
        """
        why = ""
        for attempt in range(1, TRIES + 1):
            try:
                answer, status = await self._ask(subjects.RECALL, _LAST, ASKED_AGAIN)
            except BucketError:
                why = f"no answer in {TRIES * ASKED_AGAIN:g} s"
                continue
            kept = _Answer() if status else _read(answer)
            if kept.message is not None:
                return kept.message.data
            if kept.error is not None and kept.error.err_code == _NEVER_STORED:
                return b""
            words = kept.error.description if kept.error else status
            why = f"the broker has no place for its state ({words})"
            if attempt < TRIES:  # one that has just begun does not know its streams yet
                await asyncio.sleep(ASKED_AGAIN)
        raise BucketError(why)

    async def store(self, payload: bytes) -> None:
        """Return once it is durable.

        Raises:
            BucketError: it may be, or not: no answer, or it was refused.
        """
        answer, status = await self._ask(subjects.STATE, payload)
        if status:
            raise BucketError(f"the broker has no place for its state ({status})")
        stored = _read(answer)
        if stored.error is not None or not stored.seq:
            why = stored.error.description if stored.error else "it gave no number"
            raise BucketError(f"the broker did not store it: {why}")

    async def _ask(
        self, subject: str, payload: bytes, deadline: float = DEADLINE
    ) -> tuple[bytes, str]:
        async with self._turn:
            if not self._listening:
                await self._wire.receive(f"{self._inbox}.*", self._receive)
                self._listening = True
            self._number += 1
            self._answer = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(deadline):
                    await self._wire.send(subject, payload, f"{self._inbox}.{self._number}")
                    return await self._answer
            except TimeoutError:
                raise BucketError(f"no answer in {deadline:g} s") from None
            finally:
                self._answer = None

    def _receive(
        self, subject: str, _: str, payload: bytes, headers: dict[str, str] | None
    ) -> None:
        waiting: Any = self._answer
        late = subject != f"{self._inbox}.{self._number}"
        if waiting is not None and not waiting.done() and not late:
            waiting.set_result((payload, (headers or {}).get("Status", "")))


def _read(answer: bytes) -> _Answer:
    try:
        return msgspec.json.decode(answer, type=_Answer)
    except msgspec.MsgspecError as error:
        raise BucketError(f"the broker answered unreadably: {error}") from error
