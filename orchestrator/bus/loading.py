"""Accounts as servers loaded them: one that lost imports on the way is told to them once more.

A server builds an account when its first client connects, and checks each import against what the exporter
exports then. While it takes over new claims of the exporter that is nothing, for some microseconds, and an
import that is refused in them stays away for good: whoever says or asks something there finds no responders.
The server knows it (`complete` is false) and tries again only when the exporter changes (seen with
nats-server 2.15.1; its sister, of connected clients: https://github.com/nats-io/nats-server/pull/8610).
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from ntp.bare_nats import errors
from orchestrator.bus.accounts import Accounts
from orchestrator.bus.client import Life
from orchestrator.bus.insisting import NoResponderError
from orchestrator.errors import ActionError, UnreachableError, ungrouped

CONNECTED = "$SYS.ACCOUNT.*.CONNECT"
TRIES = 6
"""Looks at an account that is not whole; the pauses between them double from FIRST_S."""
FIRST_S = 1.0
EVERY_S = 1.0
"""Between two looks at one account, however often its plugin connects."""
_AT_ONCE = 4
_IN_ONE_GO = 64
log = structlog.get_logger()


class _Server(msgspec.Struct):
    id: str


class _Client(msgspec.Struct):
    acc: str


class _Connected(msgspec.Struct):
    server: _Server
    client: _Client


class _Names(msgspec.Struct):
    accounts: tuple[str, ...] = ()


class _Loaded(msgspec.Struct):
    server: _Server
    data: _Names


class _Detail(msgspec.Struct):
    complete: bool


class _Shown(msgspec.Struct):
    account_detail: _Detail | None = None


class _Answer(msgspec.Struct):
    data: _Shown | None = None


class _Due(NamedTuple):
    at: float
    tries: int


class Loading:
    """Which accounts were loaded where, in one life of the connection, and were not looked at since.

    `arrived` is set when there are some.
    """

    def __init__(self, arrived: asyncio.Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._arrived = arrived
        self._clock = clock
        self._due: dict[tuple[str, str], _Due] = {}
        """By id of the server and public key of the account."""
        self._looked: dict[tuple[str, str], float] = {}
        """When each was looked at within the last EVERY_S."""
        self._inbox = ""
        """Where servers answer `ask`."""

    async def attend(self, life: Life) -> None:
        """Hear of all that are loaded; those that are now, at once. `life`: of the system account.

        Raises:
            UnreachableError: it broke.
        """
        inbox = life.client.new_inbox()
        try:
            await life.client.receive(CONNECTED, self._connected)
            await life.client.receive(inbox, self._named)
        except (errors.Error, OSError) as error:
            raise UnreachableError(f"the broker cannot be heard: {error}") from error
        self._inbox = inbox
        await self.ask(life, "PING")

    async def ask(self, life: Life, server: str) -> None:
        """Have a server name all that it has loaded; PING: all servers.

        Raises:
            UnreachableError: it broke.
        """
        subject = f"$SYS.REQ.SERVER.{server}.ACCOUNTZ"
        try:
            await life.client.publish(subject, b"", reply=self._inbox)
        except (errors.Error, OSError) as error:
            raise UnreachableError(f"the broker cannot be heard: {error}") from error

    async def mend(self, life: Life, accounts: Accounts) -> None:
        """Look at some of those that are due; push once more those of which a server lacks something.

        Raises:
            UnreachableError: the broker did not answer.
        """
        now = self._clock()
        self._looked = {each: at for each, at in self._looked.items() if at > now - EVERY_S}
        due = [each for each, when in self._due.items() if when.at <= now]
        if len(due) > _IN_ONE_GO:
            self._arrived.set()  # the others after whoever waits for the connection meanwhile
        limit = asyncio.Semaphore(_AT_ONCE)
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                for server, account in due[:_IN_ONE_GO]:
                    tasks.create_task(self._look(life, accounts, server, account, limit))

    async def _look(
        self, life: Life, accounts: Accounts, server: str, account: str, limit: asyncio.Semaphore
    ) -> None:
        when = self._due[server, account]
        if not (instance := accounts.name(account)):  # of a tap, or of somebody else
            del self._due[server, account]
            return
        async with limit:
            self._looked[server, account] = self._clock()
            try:
                whole = await _is_whole(life, server, account)
                if not whole:
                    log.warning("bus.account_incomplete", instance=instance, server=server)
                    await accounts.push_again(account)
            except UnreachableError:
                self._postpone(server, account, when)
                raise
            except (ActionError, OSError) as error:  # a disk that is full: the token's date is kept
                log.warning("bus.account_not_mended", instance=instance, cause=str(error))
                whole = False
        if not whole:
            self._postpone(server, account, when)
        elif self._due[server, account] is when:
            del self._due[server, account]

    def _postpone(self, server: str, account: str, when: _Due) -> None:
        if self._due[server, account] is not when:
            return  # it was loaded once more meanwhile
        if when.tries == TRIES:
            log.error("bus.account_given_up", account=account, server=server)
            del self._due[server, account]
        else:
            pause = FIRST_S * 2 ** (when.tries - 1)
            self._due[server, account] = _Due(self._clock() + pause, when.tries + 1)

    def _connected(self, _: str, payload: bytes) -> None:
        said = msgspec.json.decode(payload, type=_Connected)
        self._note(said.server.id, said.client.acc)

    def _named(self, _: str, payload: bytes) -> None:
        said = msgspec.json.decode(payload, type=_Loaded)
        for account in said.data.accounts:
            self._note(said.server.id, account)

    def _note(self, server: str, account: str) -> None:
        now = self._clock()
        at = max(now, self._looked.get((server, account), now - EVERY_S) + EVERY_S)
        self._due[server, account] = _Due(at, 1)
        if at <= now:
            self._arrived.set()


async def _is_whole(life: Life, server: str, account: str) -> bool:
    """Say whether a server holds all of an account that its claims say, or does not hold it.

    Raises:
        UnreachableError: the broker did not answer.
    """
    subject = f"$SYS.REQ.SERVER.{server}.ACCOUNTZ"
    try:
        answer = await life.request(subject, msgspec.json.encode({"account": account}))
        shown = msgspec.json.decode(answer, type=_Answer).data
    except NoResponderError:  # that server has gone, and the account with it
        return True
    except msgspec.MsgspecError as error:
        raise UnreachableError(f"the broker answered {subject} unreadably") from error
    detail = None if shown is None else shown.account_detail
    return detail is None or detail.complete
