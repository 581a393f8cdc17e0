"""The claims that the server holds, compared with what they should be; pushed where they differ."""

import asyncio
import json
from collections.abc import Mapping, Sequence

from nats import errors

from orchestrator.bus import claims
from orchestrator.bus.authority import Authority
from orchestrator.bus.client import DEADLINE, Life
from orchestrator.bus.keys import Key
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.spec.model import Import, Rights

_AT_ONCE = 16
_ORDER = ("data_source", "indicator", "strategy", "executor")
"""Whoever exports comes before those who import from it."""


class Accounts:
    """Pushes as a user of the system account."""

    def __init__(self, system: Life, authority: Authority) -> None:
        self._system = system
        self._authority = authority

    async def held(self) -> Mapping[str, str]:
        """Return every account's token by its public key, as the full resolver keeps them.

        Raises:
            UnreachableError: no answer, or a server without a full resolver.
        """
        client = self._system.client
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        found: dict[str, str] = {}
        try:
            await client.publish("$SYS.REQ.CLAIMS.PACK", b"", reply=inbox)
            while True:
                message = await answers.next_msg(timeout=DEADLINE)
                if not message.data:
                    if (message.headers or {}).get("Status"):
                        raise UnreachableError(
                            "the broker has no full account resolver (resolver: {type: full})"
                        )
                    return found
                for line in message.data.decode().splitlines():
                    account, _, token = line.partition("|")
                    found[account] = token
        except (errors.Error, OSError) as error:
            words = str(error).removeprefix("nats: ")
            raise UnreachableError(f"the broker did not list its accounts: {words}") from error
        finally:
            if not client.is_closed:
                await answers.unsubscribe()

    async def push_core(self, captured: Sequence[Import], held: Mapping[str, str]) -> None:
        """Push the controller's account; before it, those of whom it captures."""
        token = self._authority.core_token(captured)
        await self._push(self._authority.core, token, held)

    async def push(self, rights: Sequence[Rights], held: Mapping[str, str]) -> None:
        """Push those whose claims differ from what is held; nobody else notices."""
        for kind in _ORDER:
            limit = asyncio.Semaphore(_AT_ONCE)

            async def one(item: Rights, limit: asyncio.Semaphore = limit) -> None:
                async with limit:  # around the signatures too: thousands would stop the loop
                    key = self._authority.account(item.instance)
                    await self._push(key, self._authority.account_token(item), held)

            try:
                async with asyncio.TaskGroup() as tasks:
                    for item in rights:
                        if item.kind == kind:
                            tasks.create_task(one(item))
            except* (UnreachableError, ActionError) as group:
                raise group.exceptions[0] from None

    async def delete(self, accounts: Mapping[str, str]) -> None:
        """Cut plugins off: name -> public key. Their keys are forgotten with them."""
        if not accounts:
            return
        token = self._authority.deletion_token(accounts)
        answer = await self._system.request("$SYS.REQ.CLAIMS.DELETE", token.encode())
        _check(answer, "delete accounts")
        for name in accounts:
            self._authority.forget(name)

    async def _push(self, key: Key, token: str, held: Mapping[str, str]) -> None:
        old = held.get(key.public)
        if old is None or claims.meaning(old) != claims.meaning(token):
            await self.update(token)

    async def update(self, token: str) -> None:
        """Push one account's token."""
        answer = await self._system.request("$SYS.REQ.CLAIMS.UPDATE", token.encode())
        _check(answer, "take an account")


def _check(answer: bytes, what: str) -> None:
    try:
        parsed = json.loads(answer)
        data, error = parsed.get("data") or {}, parsed.get("error")
    except (ValueError, AttributeError) as bad:
        raise UnreachableError(f"the broker answered unreadably when asked to {what}") from bad
    if error or data.get("code") != 200:
        words = (error or {}).get("description") or answer.decode(errors="replace")[:200]
        raise ActionError(f"the broker refused to {what}: {words}", reason="BrokerClaims")
