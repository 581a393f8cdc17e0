"""Everybody's rights at once, and each instance told as soon as its own stand.

An instance may run when nothing that it says is lost: its streams are there, with a place in them for
everybody who hears it, and so are those that it reads; whom its account imports from is known, for the
server drops an import from a stranger; and CORE captures it, where it is captured. What one is refused,
a stream that does not fit the store, holds up itself and those who hear it, nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from orchestrator.bus.accounts import Accounts
from orchestrator.bus.streams import Lack, Streams
from orchestrator.errors import ActionError, ungrouped
from orchestrator.spec.model import Import, Rights

_STREAMS = 4
"""At once: the server makes one after the other, so the last of them waits for all."""
_ACCOUNTS = 16
"""At once, their signatures too: thousands would stop the loop."""
_ORDER = ("data_source", "indicator", "strategy", "executor")
"""Whoever exports comes before those who import from it."""


class Granting:
    """One change of many rights.

    Args:
        changed: those who are given other rights, by instance.
        held: tokens that the server has, by public key.
        captured: what CORE is to import; None: what it does.
        granted: told the name of each instance that may run now.
    """

    def __init__(
        self,
        changed: Mapping[str, Rights],
        accounts: Accounts,
        held: Mapping[str, str],
        captured: Sequence[Import] | None,
        granted: Callable[[str], None],
    ) -> None:
        self._changed = changed
        self._accounts = accounts
        self._held = held
        self._captured = captured
        self._granted = granted
        self._streams = asyncio.Semaphore(_STREAMS)
        self._pushes = asyncio.Semaphore(_ACCOUNTS)
        self._serving: dict[str, asyncio.Task[bool]] = {}
        """By stream, whether it and its consumers are as they should be."""
        self._admitting: dict[str, asyncio.Task[bool]] = {}
        """By instance, whether its account is known, and all that it needs."""
        self._refused: list[ActionError] = []

    async def carry_out(self, streams: Streams, rights: Mapping[str, Rights]) -> None:
        """Return when all stand.

        Args:
            streams: to be compared and made.
            rights: of everybody.

        Raises:
            UnreachableError: the broker did not answer.
            ActionError: the first thing that was refused; all others stand.
        """
        lacks = await streams.compare(rights, self._changed)
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                for name, lack in lacks.items():
                    work = self._tried(self._serve(streams, name, lack))
                    self._serving[name] = tasks.create_task(work)
                for kind in _ORDER:
                    for each in self._changed.values():
                        if each.kind == kind:
                            work = self._tried(self._admit(each))
                            self._admitting[each.instance] = tasks.create_task(work)
                tasks.create_task(self._tried(self._hear()))
        if self._refused:
            raise self._refused[0]

    async def _tried(self, work: Awaitable[bool]) -> bool:
        try:
            return await work
        except ActionError as error:
            self._refused.append(error)
            return False

    async def _serve(self, streams: Streams, name: str, lack: Lack) -> bool:
        async with self._streams:
            await streams.make(name, lack)
        return True

    async def _admit(self, item: Rights) -> bool:
        needed = (*item.streams, *(each.stream for each in item.consumers))
        serving = [self._serving[each] for each in needed if each in self._serving]
        exporters = [self._changed.get(each.account) for each in item.imports]
        known = [
            self._admitting[each.instance]
            for each in exporters
            if each is not None and _ORDER.index(each.kind) < _ORDER.index(item.kind)
        ]
        for each in (*serving, *known):
            if not await each:
                return False
        async with self._pushes:
            await self._accounts.push_one(item, self._held)
        if not item.captured:
            self._granted(item.instance)
        return True

    async def _hear(self) -> bool:
        """Have CORE capture whom it can: it would not import from who was a stranger when it was told."""
        heard = [name for name, each in self._changed.items() if each.captured]
        strangers = {name for name in heard if not await self._admitting[name]}
        if self._captured is not None:
            known = [each for each in self._captured if each.account not in strangers]
            await self._accounts.push_core(known, self._held)
        for name in heard:
            if name not in strangers:
                self._granted(name)
        return not strangers
