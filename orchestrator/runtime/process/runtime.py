"""The process runtime: containers made of kernel parts, a shim beside each. Port `Runtime`."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import msgspec

from ntp.confine import cgroup, probe, shim_end, shim_files, verify
from ntp.confine.policy import ConfineError, Policy
from orchestrator.decide.state import Instance, Isolation, Phase
from orchestrator.errors import ActionError, Problem, UnreachableError
from orchestrator.launch import Launch
from orchestrator.ports import Capabilities, LogLine
from orchestrator.runtime.process import lives, logs, reap
from orchestrator.runtime.process.birth import Births
from orchestrator.runtime.process.folder import TRASH, RunFolder
from orchestrator.runtime.process.instances import Instances
from orchestrator.runtime.removal import remove_tree
from orchestrator.runtime.uids import owner_of
from orchestrator.spec.model import Resources

PATIENCE = timedelta(seconds=15)
ASK_S = 10.0
"""How long a shim that was just begun may take to listen."""
STARTS_AT_ONCE = 8
CAUSE_CHARS = 1000
NEEDS_CONTAINERS = Problem(
    "environment",
    0,
    0,
    "needs containers: a process has no network to be given",
    "run it with Docker (--runtime docker, or NTP_RUNTIME=docker), or take `mode: own` out",
)
"""What has to be said of every entry that wants a network of its own."""


class ProcessRuntime:
    """Instances of one project below one state folder.

    Args:
        project: names the control groups, with a digest of `state`: projects of one name may coexist.
        state: the project's folder; `run/`, `storage/` and `seccomp/` in it are ours.
        tier: of the sandbox; None: the best that works here (see ntp.confine.policy).
        patience: what a shim may take, beyond the grace, to kill, record and remove.
    """

    name = "process"

    def __init__(
        self,
        project: str,
        state: Path,
        *,
        tier: int | None = None,
        patience: timedelta = PATIENCE,
    ) -> None:
        state = state.absolute()
        owner = owner_of(project, state)
        self._state = state
        self._patience_s = patience.total_seconds()
        self._instances = Instances(owner, state / "run")
        self._births = Births(owner, state, self._instances, tier=tier)
        self._pool = ThreadPoolExecutor(STARTS_AT_ONCE, thread_name_prefix="start")
        self._followers: set[lives.Lives] = set()
        self.capabilities = Capabilities(
            update_in_place=_limits_work(f"{owner}.probe"), restarts_by_itself=False
        )

    async def observe(self) -> Mapping[str, Instance]:
        """Return every instance of this project; see `Instances.look`."""
        try:
            found = await asyncio.to_thread(self._instances.look)
        except OSError as e:
            raise UnreachableError(f"the run folders cannot be read: {e}") from e
        if self._followers:
            living = {
                instance.id: self._instances.folder(name)
                for name, instance in found.items()
                if instance.phase is not Phase.EXITED
            }
            for follower in self._followers:
                follower.follow(living)
        return found

    async def start(self, launch: Launch) -> None:
        """Create and start, or adopt (see the port). ActionError names the step that was refused."""
        if launch.own:
            words = f"a network of its own {NEEDS_CONTAINERS.message}; {NEEDS_CONTAINERS.fix}"
            raise ActionError(words, reason="NetworkRefused", permanent=True)
        loop = asyncio.get_running_loop()
        with _in_words(launch.name):
            await loop.run_in_executor(self._pool, self._births.begin, launch)
        folder = self._instances.folder(launch.name)
        label = folder.label()
        for follower in self._followers:
            if label is not None:
                follower.add(label.id, folder)
            follower.nudge()

    async def stop(self, name: str, *, grace: timedelta, cause: str) -> None:
        """SIGTERM, at most `grace`, then the whole control group. Absent or stopped is success.

        The shim does it, also when this process dies meanwhile; if the shim does not, we do.
        """
        await asyncio.to_thread(self._instances.end_lost, name)
        folder = self._instances.folder(name)
        deadline = asyncio.get_running_loop().time() + ASK_S
        while folder.is_held() and not _ask(folder, grace, cause):
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(0.01)
        if not await lives.ended(folder, deadline_s=grace.total_seconds() + self._patience_s):
            await asyncio.to_thread(_force, folder)
            if not await lives.ended(folder, deadline_s=self._patience_s):
                raise ActionError(f"{name} cannot be killed", reason="LeftoverAlive")
        with _in_words(name):
            await asyncio.to_thread(_bury, folder)

    async def remove(self, name: str, *, delete_data: bool) -> None:
        """Forget a stopped instance. ActionError (StillRunning) if it runs: stop it first."""
        with _in_words(name):
            await asyncio.to_thread(self._remove, name, delete_data=delete_data)

    async def update(self, name: str, resources: Resources) -> None:
        """Change memory, cpu and pids of a running instance; `tmp` lasts as long as its life."""
        with _in_words(name):
            await asyncio.to_thread(_update, self._instances.folder(name), resources)
        await asyncio.to_thread(self._instances.changed, name)

    def logs(self, name: str, *, follow: bool, tail: int) -> AsyncIterator[LogLine]:
        """See `logs.read`. Nothing for an instance that is not there."""
        return logs.read(self._instances.folder(name).path, follow=follow, tail=tail)

    async def events(self) -> AsyncIterator[None]:
        """Yield when a life was begun or ended, milliseconds after; and once when listening began.

        Close it (aclosing): it holds a descriptor for every instance.
        """
        follower = lives.Lives()
        self._followers.add(follower)
        try:
            await self.observe()
            while True:
                yield None
                await follower.change()
        finally:
            self._followers.discard(follower)
            follower.close()

    def no_own_network(self) -> Problem | None:
        return NEEDS_CONTAINERS

    async def isolation(self) -> Isolation:
        """Return what a sandbox holds here, by having started one and looked at it from outside."""
        found = await asyncio.to_thread(probe.probe)
        return Isolation(found.tier, found.active, found.missing)

    async def close(self, *, delete_data: bool) -> None:
        """Remove what was made for the project as a whole; its state folder stays the caller's."""
        await asyncio.to_thread(self._close, delete_data=delete_data)
        self._births.close()
        self._pool.shutdown(wait=False)

    def _remove(self, name: str, *, delete_data: bool) -> None:
        folder = self._instances.folder(name)
        deadline = time.monotonic() + self._patience_s
        while folder.path.is_dir():
            with folder.taken() as lock:
                if lock is not None:
                    reap.clear(folder, folder.label())
                    reap.erase(folder, folder.path.with_name(f"{TRASH}{name}"))
                    break
            if not folder.has_ended() or time.monotonic() >= deadline:
                raise ActionError(f"{name} runs: stop it first", reason="StillRunning")
            time.sleep(0.01)  # its shim is about to go
        if delete_data:
            remove_tree(self._state / "storage" / name)

    def _close(self, *, delete_data: bool) -> None:
        for name in list(self._instances.names()):
            folder = self._instances.folder(name)
            if folder.label() is None:  # cut off before it had a label
                self._remove(name, delete_data=False)
        remove_tree(self._state / "seccomp")
        if delete_data:
            remove_tree(self._state / "storage")
        for empty in ("run", "storage"):
            with suppress(OSError):
                (self._state / empty).rmdir()


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Turn what the system refused (a full disk, a lost right) into what the port raises."""
    try:
        yield
    except OSError as e:
        raise ActionError(f"{name}: {e}", reason="SystemRefused") from e


def _ask(folder: RunFolder, grace: timedelta, cause: str) -> bool:
    """Tell the shim to stop its plugin; False if nobody listens (yet, or any more)."""
    try:
        fd = os.open(folder.file(shim_files.CONTROL), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        words = " ".join(cause.split())[:CAUSE_CHARS]
        os.write(fd, f"stop {grace.total_seconds()} {words}\n".encode())
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def _force(folder: RunFolder) -> None:
    """End a plugin whose shim does not answer (it was stopped, or hangs in a dead disk)."""
    group = shim_end.group_of(str(folder.path))
    if group is not None:
        group.kill()
    reap.kill_shim(folder)


def _bury(folder: RunFolder) -> None:
    label = folder.label()
    if label is None:
        return
    with folder.taken() as lock:
        if lock is not None:
            reap.bury(folder, label)


def _update(folder: RunFolder, resources: Resources) -> None:
    label = folder.label()
    group = shim_end.group_of(str(folder.path))
    content = shim_files.read(folder.file(shim_files.ORDER))
    if label is None or content is None or not folder.is_held():
        raise ActionError(f"{folder.name} does not run: start it", reason="NotRunning")
    order = json.loads(content)
    if group is None or not group.active:
        raise ActionError(
            f"{folder.name} has no control group to change: restart it", reason="NotInPlace"
        )
    limits = order["limits"] = asdict(resources)
    if order["policy"] is not None:
        order["policy"] |= limits
    folders = dict(group.folders)
    before = verify.limit_words(folders)
    try:
        group.update(Policy(name=group.name, **limits))
    except ConfineError as e:
        raise ActionError(str(e), reason="UpdateRefused") from e
    folder.surrounded_anew(
        lambda active: verify.updated(active, before, verify.limit_words(folders))
    )
    shim_files.write_atomic(folder.file(shim_files.ORDER), json.dumps(order).encode())
    changed = msgspec.structs.replace(label, resources=resources)
    shim_files.write_atomic(folder.file(shim_files.INSTANCE), msgspec.json.encode(changed))


def _limits_work(name: str) -> bool:
    """Whether limits can be set here, by having set some."""
    group = cgroup.create(name, Policy(name=name, memory=1 << 26, cpu=1.0, pids=8, tmp=0))
    group.remove()
    return set(group.active) >= {"memory", "cpu", "pids"}
