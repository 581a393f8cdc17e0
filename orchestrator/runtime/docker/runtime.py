"""The Docker runtime: each plugin its own hardened container. Port `Runtime`."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path

from ntp.confine import verify
from ntp.confine.limits import allow_burst, forbid_burst
from orchestrator.decide.state import Instance, Isolation
from orchestrator.errors import ActionError, NtpError, Problem
from orchestrator.launch import Launch
from orchestrator.ports import Capabilities, LogLine
from orchestrator.runtime.docker import (
    facts,
    fence,
    floods,
    hardening,
    identity,
    output,
    places,
    tidy,
)
from orchestrator.runtime.docker.attendants import Attendants
from orchestrator.runtime.docker.births import Births
from orchestrator.runtime.docker.client import Closable
from orchestrator.runtime.docker.engine import Engine
from orchestrator.runtime.docker.images import Images
from orchestrator.runtime.docker.life import Life
from orchestrator.runtime.docker.look import Look, policy_of
from orchestrator.runtime.docker.networks import Networks
from orchestrator.runtime.docker.pins import LookUp
from orchestrator.runtime.docker.places import Places
from orchestrator.runtime.docker.stops import Stops
from orchestrator.runtime.docker.system import System
from orchestrator.runtime.docker.tempo import Tempo
from orchestrator.runtime.uids import owner_of
from orchestrator.spec.model import Resources

GENTLY = frozenset({"StorageFull", floods.WORD})
"""Breaches whose plugin may say goodbye: it still has what it needs for that."""
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Between two tries to hear the engine's events again."""


class DockerRuntime:
    """Instances of one project as containers of one engine.

    Args:
        project: with a digest of `state` it names everything that is ours in the engine.
        state: the project's folder; `run/` and `storage/` in it are ours.
        base_url: of the engine; None: as DOCKER_HOST says, else its usual socket.
        tempo: None: the usual one.
        look_up: the machine's resolver, for the hosts of networks of plugins' own.
    """

    name = "docker"

    def __init__(
        self,
        project: str,
        state: Path,
        *,
        base_url: str | None = None,
        tempo: Tempo | None = None,
        look_up: LookUp = socket.getaddrinfo,
    ) -> None:
        self._tempo = tempo or Tempo()
        state = state.absolute()
        self._owner = owner_of(project, state)
        self._places = Places(self._owner, state)
        self._engine = Engine(base_url, self._tempo)
        images = Images(self._engine)
        attendants = Attendants(self._engine, images)
        self._system = System(self._owner, project, self._engine, self._places, attendants)
        self._networks = Networks(
            self._owner,
            project,
            self._engine,
            self._places,
            attendants,
            tempo=self._tempo,
            look_up=look_up,
        )
        self._births = Births(
            self._owner,
            self._engine,
            self._places,
            self._system,
            networks=self._networks,
            images=images,
        )
        self._look = Look(
            self._owner,
            self._engine,
            self._places,
            self._system,
            self._networks,
            tempo=self._tempo,
        )
        self._stops = Stops(
            self._engine, self._places, self._births.found, self._look.may_have_changed
        )
        self._duties: dict[str, Future[None]] = {}
        self.capabilities = Capabilities(update_in_place=True, restarts_by_itself=False)

    async def observe(self) -> Mapping[str, Instance]:
        """Return every instance of this project: one call to the engine where nothing changed."""
        picture = await self._engine.look(self._look.now)
        for name, (reason, cause) in picture.breaches.items():
            grace_s = 1.0 if reason in GENTLY else 0.0
            end = partial(self._stops.end, name, grace_s=grace_s, reason=reason, cause=cause)
            self._begin(f"end {name}", end)
        if not self._system.is_whole(picture.system):
            self._begin("repair", partial(self._system.repair, picture.system))
        for name in picture.unused:
            self._begin(f"network of {name}", partial(self._tidy_network, name))
        return picture.instances

    def _begin(self, what: str, work: Callable[[], None]) -> None:
        """Begin a duty of our own, unless it is under way; the next look begins one that failed anew."""
        known = self._duties.get(what)
        if known is None or known.done():
            self._duties[what] = self._engine.later(work)

    async def start(self, launch: Launch) -> None:
        """Create and start, or adopt (see the port). ActionError names the step that was refused."""
        await self._engine.run(lambda: self._births.begin(launch), deadline_s=self._tempo.start)

    async def stop(self, name: str, *, grace: timedelta, cause: str) -> None:
        """SIGTERM, at most `grace`, then the whole container. Absent or stopped is success."""
        end = partial(
            self._stops.end, name, grace_s=grace.total_seconds(), reason="Stopped", cause=cause
        )
        await self._engine.wait(end)

    async def remove(self, name: str, *, delete_data: bool) -> None:
        """Forget a stopped instance. ActionError (StillRunning) if it runs: stop it first."""
        await self._engine.run(lambda: self._remove(name, delete_data=delete_data))

    async def update(self, name: str, resources: Resources) -> None:
        """Change memory, cpu and pids of a running container, and read back what holds."""
        await self._engine.run(lambda: self._update(name, resources))

    def logs(self, name: str, *, follow: bool, tail: int) -> AsyncIterator[LogLine]:
        """See `output.read`. Nothing for an instance that is not there."""
        return output.read(self._engine, self._places.run(name), follow=follow, tail=tail)

    async def events(self) -> AsyncIterator[None]:
        """Yield when something may have changed; also each time that listening began (anew)."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        listening = asyncio.Event()
        over = threading.Event()
        stream: list[Closable] = []

        def opened(found: Closable) -> None:
            again = bool(stream)
            stream[:] = [found]
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(listening.set)
            if again:
                ring()  # what happened meanwhile nobody tells

        def ring(container: str | None = None) -> None:
            self._look.may_have_changed(container)
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

        def listen() -> None:
            tries = 0
            while not over.is_set():
                began = time.monotonic()
                with suppress(NtpError):
                    label = f"{identity.OWNER}={self._owner}"
                    for container in self._engine.events(label, opened):
                        ring(container)
                if over.is_set():
                    return
                ring()
                tries = 0 if time.monotonic() - began > RETRY_S[-1] else tries + 1
                over.wait(RETRY_S[min(tries, len(RETRY_S) - 1)])

        thread = threading.Thread(target=listen, daemon=True, name="docker-events")
        thread.start()
        try:
            # The engine may hang: then there is nothing to hear, only to look at.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._tempo.call):
                    await listening.wait()
            self._look.may_have_changed()
            while True:
                yield None
                await changed.wait()
                changed.clear()
        finally:
            over.set()
            for each in stream:
                with suppress(OSError, AttributeError):
                    each.close()
            await asyncio.to_thread(thread.join, self._tempo.call)

    def no_own_network(self) -> Problem | None:
        return fence.obstacle(self._engine.url)

    async def isolation(self) -> Isolation:
        """Return what a container holds here, as far as the engine tells."""
        return facts.isolation(await self._engine.run(self._engine.info))

    async def close(self, *, delete_data: bool) -> None:
        """Remove what was made for the project as a whole; its state folder stays the caller's."""
        await self._engine.run(self._system.remove, deadline_s=self._tempo.start)
        await self._engine.run(self._networks.remove_all, deadline_s=self._tempo.start)
        await self._engine.run(lambda: self._places.close(delete_data=delete_data))
        self._engine.close()

    # What follows blocks, and is called in the engine's threads.

    def _remove(self, name: str, *, delete_data: bool) -> None:
        if not self._places.run(name).is_dir() and not self._births.found(name):
            self._places.forget(name, delete_data=delete_data)
            return
        with self._places.locked(name):
            seen = self._look.ended(name)
            if seen is not None and self._engine.remove(seen[0], running=False):
                if seen[1].own:
                    self._networks.remove(name)
                self._places.forget(name, delete_data=delete_data)
                return
            found = self._births.found(name)
            for _, listed in found:
                tidy.insist_ended(name, listed)
                self._engine.remove(listed["Id"])
            # One that had none of its own has left none; of who is gone already nobody knows.
            if not found or any(label.own for label, _ in found):
                self._networks.remove(name)
            self._places.forget(name, delete_data=delete_data)

    def _tidy_network(self, name: str) -> None:
        """Take a network away that nobody uses: its entry does without now, or its start was refused."""
        with self._places.locked(name):
            if not any(label.own for label, _ in self._births.found(name)):
                self._networks.remove(name)

    def _update(self, name: str, resources: Resources) -> None:
        self._look.now()
        found = self._look.life(name)
        if found is None or found[1].exit is not None:
            raise ActionError(f"{name} does not run: start it", reason="NotRunning")
        container, life = found
        _insist_room(name, life, resources)
        policy = policy_of(life.label, asdict(resources))
        if life.label.own:
            self._networks.mend(name)
        folders = dict(life.group.folders) if life.group is not None else {}
        before = verify.limit_words(folders)
        places.record(self._places.run(name) / places.LIMITS, asdict(resources))
        forbid_burst(folders)
        try:
            self._engine.limit(container, hardening.limits(policy))
        except ActionError as error:
            raise ActionError(str(error), reason="UpdateRefused") from error
        finally:
            allow_burst(folders, policy)
            self._look.may_have_changed(container)
        if life.isolation is not None:
            active = verify.updated(life.isolation.active, before, verify.limit_words(folders))
            life.isolation = Isolation(life.isolation.tier, active, life.isolation.missing)
        life.read_at = 0.0


def _insist_room(name: str, life: Life, resources: Resources) -> None:
    """Refuse a limit below what is used: version 2 would kill for it, version 1 answers with an error."""
    if life.group is None:
        return
    usage = life.group.usage()
    if usage.memory > resources.memory:
        raise ActionError(
            f"{name} uses {usage.memory / 2**20:.0f} MiB, the new limit is "
            f"{resources.memory / 2**20:.0f} MiB: give it more, or restart it",
            reason="UpdateRefused",
        )
    if usage.pids > resources.pids:
        raise ActionError(
            f"{name} runs {usage.pids} processes and threads, more than the new limit of "
            f"{resources.pids}: give it more, or restart it",
            reason="UpdateRefused",
        )
