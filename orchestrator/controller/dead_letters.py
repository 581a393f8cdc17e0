"""What receivers could not take: how much of it there is, and what a person does with it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ntp.confine.shim_output import harmless
from ntp.contract.beat import Beat
from orchestrator.controller.bus_rights import BusRights
from orchestrator.controller.desk import Desk
from orchestrator.controller.journal import Journal
from orchestrator.controller.naming import insist
from orchestrator.decide.letters import unsendable
from orchestrator.decide.report import DeadLetter, DeadLetterInFull, LettersDone
from orchestrator.errors import ActionError
from orchestrator.letters import Letters


@dataclass(slots=True)
class DeadLetters:
    """`counts`: how many each receiver has, as of the last count; who has none is not in it.

    `counted`: whether all were counted once.
    """

    kept: Letters
    desk: Desk
    rights: BusRights
    journal: Journal
    counts: dict[str, int] = field(default_factory=dict)
    counted: bool = False
    _listening: datetime | None = None
    _said: dict[str, tuple[str, int]] = field(default_factory=dict)
    """What each life has said of its own letters, as of the last count."""

    async def look(self, beats: Mapping[str, Beat], listening: datetime | None) -> None:
        """Count what may have changed: all of it once the bus is back, else who says that it has more.

        UnreachableError, ActionError: not now.
        """
        said = {name: (beat.incarnation, beat.dead) for name, beat in beats.items()}
        if listening is None or not self.rights.compared:
            return
        if listening != self._listening:
            counts = await self.kept.counts()
            for name in sorted(counts.keys() | self.counts):
                self._count(name, counts.get(name, 0))
            self.counted = True
        else:
            fresh = [
                name
                for name, each in said.items()
                if each != self._said.get(name) and (each[1] or name in self.counts)
            ]
            for name in fresh:
                self._count(name, await self.kept.count(name))
        self._listening, self._said = listening, said

    def _count(self, name: str, count: int) -> None:
        more = count - self.counts.pop(name, 0)
        if count:
            self.counts[name] = count
        if more > 0:
            many = "a message" if more == 1 else f"{more} messages"
            words = f"{many} could not be taken; `ntpctl dlq list {name}`"
            self.journal.warn(name, "DeadLetters", words)

    async def listed(self, name: str | None) -> Sequence[DeadLetter]:
        """Return all letters of a receiver, or of all, oldest first."""
        insist(name, self.desk.book.entries)
        await self.rights.compare()
        found: list[DeadLetter] = []
        for receiver in sorted(self.rights.wanted) if name is None else [name]:
            letters = await self.kept.all(receiver)
            self._count(receiver, len(letters))
            found += letters
        return sorted(found, key=lambda each: each.kept)

    async def one(self, letter_id: str) -> DeadLetterInFull:
        await self.rights.compare()
        letter = await self._found(letter_id)
        text = "\n".join(harmless(line) for line in letter.payload.split(b"\n"))
        return DeadLetterInFull(letter, text, self._refusal(letter))

    async def retry(self, ids: Sequence[str]) -> LettersDone:
        """Send them to their receivers once more; each is gone from here once it was sent."""

        async def again(letter: DeadLetter) -> None:
            why = self._refusal(letter)
            if why:
                raise ActionError(why, reason="CannotRetry", permanent=True)
            await self.kept.send_again(letter)
            await self.kept.drop(letter.receiver, letter.number)
            self.journal.note(letter.receiver, "LetterRetried", _words(letter))

        return await self._each(ids, again)

    async def drop(self, ids: Sequence[str]) -> LettersDone:
        async def away(letter: DeadLetter) -> None:
            await self.kept.drop(letter.receiver, letter.number)
            self.journal.note(letter.receiver, "LetterDropped", _words(letter))

        return await self._each(ids, away)

    async def _each(
        self, ids: Sequence[str], act: Callable[[DeadLetter], Awaitable[None]]
    ) -> LettersDone:
        await self.rights.compare()
        done: list[str] = []
        failed: dict[str, str] = {}
        receivers: set[str] = set()
        for letter_id in dict.fromkeys(ids):
            try:
                letter = await self._found(letter_id)
                receivers.add(letter.receiver)
                await act(letter)
            except ActionError as error:
                failed[letter_id] = str(error)
            else:
                done.append(letter_id)
        for name in receivers:
            self._count(name, await self.kept.count(name))
        return LettersDone(done, failed)

    async def _found(self, letter_id: str) -> DeadLetter:
        receiver, _, number = letter_id.rpartition("/")
        letter = None
        if receiver in self.rights.wanted and number.isascii() and number.isdigit():
            letter = await self.kept.one(receiver, int(number[:18]))
        if letter is None:
            raise ActionError(
                f"there is no dead letter '{letter_id}'; `ntpctl dlq list` shows those there are",
                reason="NoSuchLetter",
                permanent=True,
            )
        return letter

    def _refusal(self, letter: DeadLetter) -> str:
        return unsendable(letter, self.rights.wanted.get(letter.receiver))


def _words(letter: DeadLetter) -> str:
    of = f"{letter.signal} of {letter.sender}" if letter.signal else f"one of {letter.sender}"
    return f"{letter.id}: {of}"
