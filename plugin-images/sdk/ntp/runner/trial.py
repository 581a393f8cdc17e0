"""Messages that may have ended the life before: begun one at a time, with a note of each that outlives us.

A life that dies says nothing of what it was doing, and the bus counts nothing either: a consumer that
is set back begins to count anew. So each life notes which message of a sender it begins with. Where
that note stands already, no life since has come past this message, and now it is tried alone; where
it has been begun as often as it may, it is dead. A life that gets on costs one note a sender.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ntp.connection import Message
from ntp.contract.letters import Why
from ntp.contract.subjects import PROGRESS_TOKEN
from ntp.runner.core.dead import Dead
from ntp.runner.letterbox import Letterbox

TRIES = 5
"""Lives that may end while they process one message."""
_PROGRESS = f".{PROGRESS_TOKEN}"
HELD = 1024
"""Messages that a life can have left unfinished: as many as a consumer hands out."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`alone`: to be carried out at once and settled before the next one. `dead`: not at all."""

    alone: bool = False
    dead: Dead | None = None


@dataclass(slots=True)
class Court:
    """What the trials of one life share."""

    letters: Letterbox
    last_end: str
    alone: asyncio.Lock
    """Held while a suspect is tried: of two at once, nobody could say which one ended us."""


class Trial:
    """What one sender sends, in its order."""

    def __init__(self, court: Court, sender: str) -> None:
        self._court = court
        self._sender = sender
        self._left = HELD if court.letters.kept else 0
        self._suspicious = False
        self._begun: set[str] = set()

    def batch(self, usual: int) -> int:
        """Return how many messages to ask for."""
        return 1 if self._left else usual

    @asynccontextmanager
    async def of(self, messages: Sequence[Message]) -> AsyncIterator[Verdict]:
        """Say what to do with messages that `batch` asked for; what came of them settles within the block."""
        if not self._left or not messages:
            yield Verdict()
            return
        (message,) = messages
        if message.subject.endswith(_PROGRESS):
            # Acknowledged late, so it is there in every life, and ends none: only signals are acted on.
            yield Verdict()
            return
        self._left -= 1
        first = await self._noted(message, 1)
        if first and not self._suspicious:
            self._left = 0
            yield Verdict()
            return
        self._suspicious = True
        async with self._court.alone:
            dead = None if first else await self._tried(message)
            yield Verdict(alone=True, dead=dead)
            await self._court.letters.settled()
        if not message.behind:
            self._left = 0

    async def _tried(self, message: Message) -> Dead | None:
        for count in range(2, TRIES + 1):
            if await self._noted(message, count):
                return None
        words = f"{TRIES} lives in a row ended while they processed it"
        why = f"{words}; the last: {self._court.last_end}" if self._court.last_end else words
        return Dead(Why.ENDED_RECEIVER, why, TRIES)

    async def _noted(self, message: Message, count: int) -> bool:
        """Note it; False: an earlier life did."""
        name = f"{message.seq} {message.stored_ns}"
        if name in self._begun:
            return True  # by us: it was handed out once more
        if not await self._court.letters.begin(self._sender, message, count):
            return False
        self._begun.add(name)
        return True
