"""Everybody's rights at once, and each instance told as soon as its own stand.

An instance may run when nothing that it says is lost: its streams are there, with a place in them for
everybody who reads them, and so are those that it reads; whom its account imports from is known, for
the server drops an import from a stranger; and CORE captures it, where it is captured. What one part is
refused, a stream that does not fit the store, holds up those who need that part, nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

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
        changed: those whom it concerns, by instance.
        accounts: takes their claims.
        held: tokens that the server has, by public key.
        known: instances whose account the server has, as it may have been before.
        captured: what CORE is to import; None: what it does.
        granted: told the name of each instance that may run now.
    """

    def __init__(
        self,
        changed: Mapping[str, Rights],
        accounts: Accounts,
        *,
        held: Mapping[str, str],
        known: Collection[str],
        captured: Sequence[Import] | None,
        granted: Callable[[str], None],
    ) -> None:
        self._changed = changed
        self._accounts = accounts
        self._held = held
        self._known = known
        self._captured = captured
        self._core_changes = captured is not None and accounts.core_differs(captured, held)
        self._granted = granted
        self._streams = asyncio.Semaphore(_STREAMS)
        self._pushes = asyncio.Semaphore(_ACCOUNTS)
        self._serving: dict[str, asyncio.Task[ActionError | None]] = {}
        """By stream, until it and its consumers are as they should be; what was refused of it."""
        self._admitting: dict[str, asyncio.Task[ActionError | None]] = {}
        """By instance, until its account is known, and all that it needs; what was refused of these."""
        self._refused: dict[str, ActionError] = {}

    async def carry_out(
        self, streams: Streams, rights: Mapping[str, Rights]
    ) -> Mapping[str, ActionError]:
        """Return what was refused, by instance, when all others stand.

        Args:
            streams: to be compared and made.
            rights: of everybody.

        Raises:
            UnreachableError: the broker did not answer.
        """
        lacks = await streams.compare(rights, self._changed)
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                for name, lack in lacks.items():
                    work = _tried(self._serve(streams, name, lack))
                    self._serving[name] = tasks.create_task(work)
                for kind in _ORDER:
                    for each in self._changed.values():
                        if each.kind == kind:
                            work = _tried(self._admit(each))
                            self._admitting[each.instance] = tasks.create_task(work)
                capturing = tasks.create_task(self._capture())
                for name, each in self._changed.items():
                    if not each.captured:
                        tasks.create_task(self._grant(name, capturing))
        return self._refused

    async def _serve(self, streams: Streams, name: str, lack: Lack) -> None:
        async with self._streams:
            await streams.make(name, lack)

    async def _admit(self, item: Rights) -> None:
        needed = (*item.streams, *(each.stream for each in item.consumers))
        for stream in needed:
            if stream in self._serving:
                _insist(await self._serving[stream])
        for account in {each.account for each in item.imports}:
            exporter = self._changed.get(account)
            if exporter is None or _ORDER.index(exporter.kind) >= _ORDER.index(item.kind):
                continue
            refusal = await self._admitting[account]
            if account not in self._known:
                _insist(refusal)
        async with self._pushes:
            await self._accounts.push_one(item, self._held)

    async def _grant(self, name: str, capturing: asyncio.Task[None]) -> None:
        refusal = await self._admitting[name]
        if self._core_changes:
            # Who connects for the first time meanwhile may lose what he imports from CORE: loading.py.
            await capturing
        if refusal is None:
            self._granted(name)
        else:
            self._refused[name] = refusal

    async def _capture(self) -> None:
        """Have CORE import from all whom it captures, once they are known, and grant them.

        Whose rights were refused is captured as it was, if it was.
        """
        names = [name for name, each in self._changed.items() if each.captured]
        refused = {name: why for name in names if (why := await self._admitting[name]) is not None}
        if self._captured is not None:
            strangers = refused.keys() - set(self._known)
            told = [each for each in self._captured if each.account not in strangers]
            why = await _tried(self._accounts.push_core(told, self._held))
            if why is not None:
                refused |= {name: why for name in names if name not in refused}
        self._refused |= refused
        for name in names:
            if name not in refused:
                self._granted(name)


async def _tried(work: Awaitable[None]) -> ActionError | None:
    """Return what was refused of it: the others go on. An UnreachableError ends all."""
    try:
        await work
    except ActionError as error:
        return error
    return None


def _insist(refusal: ActionError | None) -> None:
    if refusal is not None:
        raise refusal
