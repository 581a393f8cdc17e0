"""Dead letters: what the controller can do with them at the broker, and what a client may ask for."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from orchestrator.decide.report import DeadLetter, DeadLetterInFull, LettersDone


class Letters(Protocol):
    """A part of the port `Broker`; raises as it does."""

    async def counts(self) -> Mapping[str, int]:
        """How many each receiver has, who has any."""

    async def count(self, receiver: str) -> int: ...
    async def all(self, receiver: str) -> Sequence[DeadLetter]:
        """All of one receiver, oldest first."""

    async def one(self, receiver: str, number: int) -> DeadLetter | None: ...
    async def send_again(self, letter: DeadLetter) -> None:
        """Send it to its receiver alone; done twice with one letter within minutes, it arrives once."""

    async def drop(self, receiver: str, number: int) -> bool:
        """Remove it; False: it was gone."""


class LetterOperations(Protocol):
    """A part of the controller's `Operations`."""

    async def listed(self, name: str | None) -> Sequence[DeadLetter]: ...
    async def one(self, letter_id: str) -> DeadLetterInFull: ...
    async def retry(self, ids: Sequence[str]) -> LettersDone: ...
    async def drop(self, ids: Sequence[str]) -> LettersDone: ...
