"""The claims that the server holds, compared with what they should be; pushed where they differ."""

import asyncio
import json
from collections.abc import Mapping, Sequence

from ntp.bare_nats import errors
from ntp.heeding import heeded
from orchestrator.bus import claims
from orchestrator.bus.authority import Authority
from orchestrator.bus.client import DEADLINE, Life
from orchestrator.bus.insisting import NoResponderError
from orchestrator.bus.keys import ACCOUNT, Key, make
from orchestrator.errors import ActionError, UnreachableError, ungrouped
from orchestrator.spec.model import Import, Rights
from orchestrator.spec.rights import CORE

_AT_ONCE = 16
_SET = "set resolver: {type: full, allow_delete: true}"
_NO_RESOLVER = f"the broker keeps no accounts that are pushed to it; {_SET}"


Given = Rights | tuple[Import, ...]
"""What an account is given; a tuple: what CORE captures. Its token is 18 KB, and the same whenever made."""


class Accounts:
    """Pushes as a user of the system account.

    `told`: what servers have and should have, by public key; kept up to date here.
    """

    def __init__(self, system: Life, authority: Authority, told: dict[str, Given]) -> None:
        self._system = system
        self._authority = authority
        self._told = told

    async def held(self) -> Mapping[str, str]:
        """Return every account's token by its public key, as the full resolver keeps them.

        Raises:
            UnreachableError: no answer.
            ActionError: a server without a full resolver.
        """
        client = self._system.client
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        found: dict[str, str] = {}
        try:
            await client.publish("$SYS.REQ.CLAIMS.PACK", b"", reply=inbox)
            while True:
                message = await heeded(answers.next_msg(timeout=DEADLINE))
                if not message.data:
                    if (message.headers or {}).get("Status"):
                        raise ActionError(_NO_RESOLVER, reason="BrokerSettings")
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
        await self._push(self._authority.core, tuple(captured), held)

    def core_differs(self, captured: Sequence[Import], held: Mapping[str, str]) -> bool:
        """Say whether `push_core` would push anything."""
        return self._differs(self._authority.core, self._token(tuple(captured)), held)

    async def push_one(self, rights: Rights, held: Mapping[str, str]) -> None:
        """Push one whose claims differ from what is held; nobody else notices."""
        await self._push(self._authority.account(rights.instance), rights, held)

    def name(self, key: str) -> str:
        """Return whose an account is that servers were told of; empty: nobody's."""
        given = self._told.get(key)
        if given is None:
            return ""
        return given.instance if isinstance(given, Rights) else CORE

    async def push_again(self, key: str) -> None:
        """Push what was told of an account, in a token that no server has seen: to the same it does nothing."""
        await self.update(self._token(self._told[key], again=True))

    async def delete(self, accounts: Mapping[str, str]) -> None:
        """Cut plugins off: name -> public key. Their keys are forgotten with them."""
        if not accounts:
            return
        # Those of taps, which have no other name, end by themselves.
        self._authority.bury(key for name, key in accounts.items() if name != key)
        await self._delete(accounts)
        for name, key in accounts.items():
            self._authority.forget(name)
            self._told.pop(key, None)

    async def tell_again(self, joined: frozenset[str]) -> frozenset[str]:
        """Tell all servers once more what they should have; return those of `joined` that heard it.

        Who has it already does nothing: each token is the same text. `joined`: ids of servers.
        """
        if (told := self._told.get(self._authority.core.public)) is None:
            return frozenset()  # its turn comes at the end of the first comparison
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(given: Given) -> None:
            async with limit:
                await self.update(self._token(given))

        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                for given in self._told.values():
                    tasks.create_task(one(given))
        gone = {key: key for key in self._authority.buried() if key not in self._told}
        if gone:
            await self._delete(gone)
        return await self._heard(self._token(told), joined)

    async def _heard(self, token: str, joined: frozenset[str]) -> frozenset[str]:
        """Tell of one account and return who has heard it, and with it all that was said before."""
        client = self._system.client
        inbox = client.new_inbox()
        answers = None
        found: set[str] = set()
        try:
            async with asyncio.timeout(DEADLINE):
                answers = await client.subscribe(inbox)
                await client.publish("$SYS.REQ.CLAIMS.UPDATE", token.encode(), reply=inbox)
                while not joined <= found:
                    message = await heeded(answers.next_msg(timeout=DEADLINE))
                    found.add(json.loads(message.data)["server"]["id"])
        except (errors.Error, TimeoutError, OSError, ValueError, KeyError):
            pass  # some are not there, or not yet
        finally:
            if answers is not None and not client.is_closed:
                await answers.unsubscribe()
        return joined & found

    async def _delete(self, accounts: Mapping[str, str]) -> None:
        token = self._authority.deletion_token(accounts)
        answer = await self._system.request("$SYS.REQ.CLAIMS.DELETE", token.encode())
        _check(answer, "delete accounts")

    async def objection(self) -> str:
        """Say why this broker cannot keep accounts as we need, by asking it to forget one that nobody has."""
        token = self._authority.deletion_token({"": make(ACCOUNT).public})
        try:
            answer = await self._system.ask("$SYS.REQ.CLAIMS.DELETE", raw=token.encode())
        except NoResponderError:
            return _NO_RESOLVER
        refused = "must be enabled" in str((answer.get("error") or {}).get("description"))
        return f"the broker forgets no account; {_SET}" if refused else ""

    async def _push(self, key: Key, given: Given, held: Mapping[str, str]) -> None:
        token = self._token(given)
        if self._differs(key, token, held):
            await self.update(token)
        self._told[key.public] = given

    def _differs(self, key: Key, token: str, held: Mapping[str, str]) -> bool:
        old = held.get(key.public)
        return old is None or claims.meaning(old) != claims.meaning(token)

    def _token(self, given: Given, *, again: bool = False) -> str:
        if isinstance(given, Rights):
            return self._authority.account_token(given, again=again)
        return self._authority.core_token(given, again=again)

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
