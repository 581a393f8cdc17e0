"""Keeps the broker's accounts as the wiring wants them; never takes from one who still runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from orchestrator.controller.journal import Journal
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.ports import Broker
from orchestrator.spec.model import Desired, Rights
from orchestrator.spec.rights import concerned, rights
from orchestrator.spec.wiring import edges

ENSURE_S = 60.0


class BusRights:
    """`keys_kept` returns when whoever comes after us finds the broker's keys."""

    def __init__(
        self, broker: Broker, journal: Journal, keys_kept: Callable[[], Awaitable[None]]
    ) -> None:
        self._broker = broker
        self._keys_kept = keys_kept
        self._journal = journal
        self._wanted: Mapping[str, Rights] = {}
        self._for: Desired | None = None
        self._compared: Mapping[str, Rights] | None = None
        """What the broker was last made to be, but for what it refused; None: unknown."""
        self._refused: Mapping[str, ActionError] = {}
        """Whom, in the last try that was not given up; under the empty name, what could not be removed."""
        self._outdated: set[str] = set()
        """Whom something concerns that was wanted after the last try began."""
        self._standing: dict[str, Rights] = {}
        """By instance, what the broker is known to have; others may still be made."""
        self._doubts = 0
        self._trying = False
        self._begun = self._ended = 0
        """Numbers of tries: of the last that was begun, and of the last that was not cancelled."""
        self._failure: Exception | None = None
        """By which that one was given up."""
        self._news: dict[str | None, asyncio.Event] = {}
        """Who waits: by instance for its own rights, None for those of all; set at the end of a try too."""

    def want(self, desired: Desired, running: Collection[str]) -> None:
        """Compute what is wanted: the rights of `desired`, and of those who run no longer wanted."""
        known = self._for
        if known is None or known.plugins != desired.plugins:
            fresh = dict(rights(desired, edges(desired)))
            leaving = {name: each for name, each in self._wanted.items() if name not in fresh}
            wanted = {**leaving, **fresh}
            self._outdated |= concerned(wanted, self._wanted)
            self._wanted = wanted
            self._for = desired
        gone = [
            name for name in self._wanted if name not in desired.plugins and name not in running
        ]
        if gone:
            self._wanted = {name: each for name, each in self._wanted.items() if name not in gone}

    def doubt(self) -> None:
        """The broker was started anew, or was away: what it knows has to be compared."""
        self._doubts += 1
        self._compared = None
        self._standing = {}

    @property
    def wanted(self) -> Mapping[str, Rights]:
        return self._wanted

    @property
    def compared(self) -> bool:
        """All stands that is wanted now, but for what the broker refuses."""
        return self._compared is not None and self._compared == self._wanted

    @property
    def settled(self) -> bool:
        return self.compared and not self._refused

    @property
    def refused(self) -> Mapping[str, ActionError]:
        """Who was refused something when the broker was asked last, and what."""
        return self._refused

    @property
    def unasked(self) -> bool:
        """Something is wanted now for which the broker, which answers, was not asked yet."""
        return not self.compared and self._failure is None

    async def ensure(self) -> None:
        """Make the broker what is wanted. UnreachableError, ActionError: it is not, for now."""

        def why() -> Exception | None:
            return self._failure or next(iter(self._refused.values()), None)

        await self._until(lambda: self.settled, why)

    async def compare(self) -> None:
        """As `ensure`, and what it refuses of some is no error."""
        await self._until(lambda: self.compared, lambda: self._failure)

    async def stand(self, name: str) -> None:
        """Return when an instance has its rights, while those of others may still be made.

        UnreachableError, ActionError: it has not, for now. What it is refused is asked for again by
        `ensure` alone: it compares everybody, whoever was refused something.
        """
        if name in self._refused and self.compared:
            raise self._refused[name]

        def stands() -> bool:
            known = self._standing.get(name) == self._wanted.get(name)
            return known and name not in self._outdated

        await self._until(stands, lambda: self._refused.get(name) or self._failure, name)

    async def _until(
        self,
        reached: Callable[[], bool],
        why: Callable[[], Exception | None],
        name: str | None = None,
    ) -> None:
        """Return once it is reached, or raise why a try that began after the call did not reach it."""
        earliest = self._begun + 1
        while not reached():
            if self._ended >= earliest:
                if (error := why()) is not None:
                    raise error
                earliest = self._begun + 1  # something else is wanted by now, or it is doubted
            if self._trying:
                await self._news.setdefault(name, asyncio.Event()).wait()
            else:
                await self._try()

    async def _try(self) -> None:
        self._trying = True
        self._begun += 1
        number, doubts, wanted = self._begun, self._doubts, dict(self._wanted)
        self._compared = None
        # What is taken from somebody now may be taken halfway.
        self._standing = {
            name: each
            for name, each in self._standing.items()
            if wanted.get(name) == each and name not in self._outdated
        }
        self._outdated = set()

        def granted(name: str) -> None:
            if doubts == self._doubts:
                self._standing[name] = wanted[name]
                self._tell(name)

        failure: Exception | None = None
        refused: Mapping[str, ActionError] = {}
        try:
            try:
                async with asyncio.timeout(ENSURE_S):
                    refused = await self._broker.ensure(wanted, granted)
                    await self._keys_kept()
            except TimeoutError:
                failure = UnreachableError("the broker took too long to take over the accounts")
            except Exception as error:  # noqa: BLE001 - whoever waits is told, a bug too
                failure = error
            self._ended, self._failure, self._refused = number, failure, refused
            if failure is None and doubts == self._doubts:
                self._compared = wanted
                self._standing = {n: each for n, each in wanted.items() if n not in refused}
        finally:
            self._trying = False
            for waiting in tuple(self._news):
                self._tell(waiting)
        if words := [str(failure)] if failure else list(dict.fromkeys(map(str, refused.values()))):
            self._unready("; ".join(words))
        else:
            self._journal.condition("BrokerReady", status=True, reason="Ensured")

    def _tell(self, name: str | None) -> None:
        if (waiting := self._news.pop(name, None)) is not None:
            waiting.set()

    async def rotate(self, name: str) -> None:
        """Give `name` another credential; those before are refused. UnreachableError, ActionError: not now."""
        await self.stand(name)
        try:
            async with asyncio.timeout(ENSURE_S):
                await self._broker.rotate(self._wanted[name])
                await self._keys_kept()
        except TimeoutError as error:
            raise UnreachableError("the broker took too long") from error

    async def kept(self) -> None:
        """Return when a credential that was made is found by whoever comes after us.

        UnreachableError: it is not. Nobody may run with it: the next controller would make another.
        """
        await self._keys_kept()

    @asynccontextmanager
    async def tapped(self, rights: Rights, lifetime: timedelta) -> AsyncIterator[bytes]:
        """Yield credentials with these rights. UnreachableError, ActionError: not now."""
        for each in rights.imports:
            await self.stand(each.account)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(ENSURE_S):
                    given = self._broker.tapped(rights, lifetime)
                    credentials = await stack.enter_async_context(given)
            except TimeoutError as error:
                raise UnreachableError("the broker took too long") from error
            yield credentials

    async def check(self) -> tuple[str, ...]:
        """Return what of the broker would break our promises, in words."""
        try:
            async with asyncio.timeout(ENSURE_S):
                found = tuple(await self._broker.check())
        except (UnreachableError, ActionError, TimeoutError) as error:
            found = (str(error) or "the broker took too long to answer",)
        if found:
            self._unready("; ".join(found))
        return found

    def _unready(self, message: str) -> None:
        self._journal.condition("BrokerReady", status=False, reason="NotReady", message=message)
