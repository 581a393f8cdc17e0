"""Keeps the broker's accounts as the wiring wants them; never takes from one who still runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from orchestrator.controller.journal import Journal
from orchestrator.errors import ActionError, NtpError, UnreachableError
from orchestrator.ports import Broker
from orchestrator.spec.model import Desired, Rights
from orchestrator.spec.rights import rights
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
        self._lock = asyncio.Lock()
        self._wanted: Mapping[str, Rights] = {}
        self._for: Desired | None = None
        self._ensured: Mapping[str, Rights] | None = None
        """What the broker was last made to be; None: unknown."""
        self._standing: dict[str, Rights] = {}
        """By instance, what the broker is known to have; others may still be made."""
        self._awaited: dict[str, asyncio.Event] = {}
        """By instance that waits for its own: something of it was done, or all of it was given up."""

    def want(self, desired: Desired, running: Collection[str]) -> None:
        """Compute what is wanted: the rights of `desired`, and of those who run no longer wanted."""
        known = self._for
        if known is None or known.plugins != desired.plugins:
            fresh = dict(rights(desired, edges(desired)))
            leaving = {name: each for name, each in self._wanted.items() if name not in fresh}
            self._wanted = {**leaving, **fresh}
            self._for = desired
        gone = [
            name for name in self._wanted if name not in desired.plugins and name not in running
        ]
        if gone:
            self._wanted = {name: each for name, each in self._wanted.items() if name not in gone}

    def doubt(self) -> None:
        """The broker was started anew, or was away: what it knows has to be compared."""
        self._ensured = None
        self._standing = {}

    @property
    def wanted(self) -> Mapping[str, Rights]:
        return self._wanted

    @property
    def settled(self) -> bool:
        return self._ensured is not None and self._ensured == self._wanted

    async def ensure(self) -> None:
        """Make the broker what is wanted. UnreachableError, ActionError: it is not, for now."""
        async with self._lock:
            if self.settled:
                return
            wanted = dict(self._wanted)
            # What is taken from somebody now may be taken halfway.
            self._standing = {
                name: each for name, each in self._standing.items() if wanted.get(name) == each
            }

            def granted(name: str) -> None:
                self._standing[name] = wanted[name]
                self._tell(name)

            try:
                async with asyncio.timeout(ENSURE_S):
                    await self._broker.ensure(wanted, granted)
                    await self._keys_kept()
            except TimeoutError as error:
                self._unready("the broker took too long to take over the accounts")
                raise UnreachableError("the broker took too long") from error
            except NtpError as error:
                self._unready(str(error))
                raise
            else:
                self._ensured = wanted
                self._standing = dict(wanted)
            finally:
                for name in tuple(self._awaited):
                    self._tell(name)
            self._journal.condition("BrokerReady", status=True, reason="Ensured")

    async def stand(self, name: str) -> None:
        """Return when an instance has its rights, while those of others may still be made.

        UnreachableError, ActionError: it has not, for now.
        """
        while not self._stands(name):
            if self._lock.locked():
                await self._awaited.setdefault(name, asyncio.Event()).wait()
                continue
            try:
                await self.ensure()
            except NtpError:
                if not self._stands(name):  # what somebody else was refused is not its business
                    raise

    def _stands(self, name: str) -> bool:
        return self._standing.get(name) == self._wanted.get(name)

    def _tell(self, name: str) -> None:
        if (waiting := self._awaited.pop(name, None)) is not None:
            waiting.set()

    async def rotate(self, name: str) -> None:
        """Give `name` another credential; those before are refused. UnreachableError, ActionError: not now."""
        await self.ensure()
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
        await self.ensure()
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
