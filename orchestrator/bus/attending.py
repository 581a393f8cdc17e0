"""What servers say by themselves: who has joined, who was connected; and what they are told then."""

import asyncio
from contextlib import suppress

from orchestrator.bus.accounts import Accounts
from orchestrator.bus.client import Life
from orchestrator.bus.joining import Joining
from orchestrator.bus.loading import Loading

_LISTENS = 2.0
"""Seconds after which it is looked whether who listens to servers still does, and what is due again."""


class Attending:
    """`several`: others may join a server of ours, and do not know then what it was told."""

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self._heard = asyncio.Event()
        self._joining, self._loading = Joining(self._heard), Loading(self._heard)

    async def attend(self, life: Life) -> None:
        """Hear the servers from now on, in one life of the connection. `life`: of the system account.

        Raises:
            UnreachableError: it broke.
        """
        self._joining, self._loading = Joining(self._heard), Loading(self._heard)
        if self._several:
            await self._joining.attend(life)
        await self._loading.attend(life)

    async def news(self) -> None:
        """Return when they said something, and now and then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LISTENS):
                await self._heard.wait()
        self._heard.clear()

    async def tell(self, life: Life, accounts: Accounts) -> None:
        """Have them know what they missed, or lost, before it is taken for true.

        Raises:
            UnreachableError: the broker did not answer.
            ActionError: it refused something.
        """
        if joined := self._joining.waiting():
            told = await accounts.tell_again(joined)
            self._joining.told(told)
            for server in told:  # what it had loaded before we knew of it
                await self._loading.ask(life, server)
        await self._loading.mend(life, accounts)
