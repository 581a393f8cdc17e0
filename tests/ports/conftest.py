"""Worlds for the Runtime suite: one class for each adapter, all with the same few questions.

A world of another adapter (Docker) needs `runtime`, `again`, `launch`, `processes` and `leftovers`.
"""

import asyncio
import contextlib
import inspect
import json
import os
import sys
import time
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest

from ntp.confine import sandbox
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.place import Place
from orchestrator.decide.state import Hashes, Phase
from orchestrator.launch import Environment, Launch
from orchestrator.runtime.docker.runtime import DockerRuntime
from orchestrator.runtime.kubernetes.objects import Ground
from orchestrator.runtime.kubernetes.runtime import KubernetesRuntime
from orchestrator.runtime.process.runtime import ProcessRuntime
from orchestrator.spec.model import Resources

MIB = 1024 * 1024
DEADLINE_S = 30.0
SMALL = Resources(memory=64 * MIB, cpu=1.0, pids=32, tmp=MIB)


async def until(claim, *, deadline_s=DEADLINE_S):
    """Wait until a claim about the world is true, and return what it gave; else fail with its words."""
    end = time.monotonic() + deadline_s
    while True:
        found = claim()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"never became true: {inspect.getsource(claim).strip()}"
        await asyncio.sleep(0.02)


class ProcessWorld:
    """Plugins as processes below one state folder."""

    can_limit = os.geteuid() == 0
    many = 30
    until = staticmethod(until)

    def __init__(self, state, *, tier=None):
        self.state = state
        self.tier = tier
        self.runtime = self.again()

    def again(self, **options):
        """Another controller's runtime on the same world, as after a restart."""
        return ProcessRuntime("trial", self.state, tier=self.tier, **options)

    def launch(self, name, program, **fields):
        """A tiny program in place of a plugin, run by the test's own interpreter."""
        given = {
            "project": "trial",
            "kind": "strategy",
            "generation": 1,
            "attempt": 1,
            "epoch": 1,
            "hashes": Hashes("identity", "resources", "wiring", "config", "policy"),
            "spec": b'{"name": "trial"}',
            "argv": ("-c", program),
            "environment": Environment(Path(sys.executable), (), "digest"),
            "code": None,
            "files": {
                "launch.json": b'{"code": "/plugin", "storage": "/storage"}',
                "bus.creds": b"canary-\xff",
            },
            "resources": SMALL,
            "sandbox": self.tier != 0,
        }
        return Launch(name=name, **{**given, **fields})

    async def run(self, name, program, **fields):
        """Start it and wait until it has said `ready` (or has ended)."""
        await self.runtime.start(self.launch(name, program, **fields))
        await until(lambda: self._is_ready(name))
        return await self.see(name)

    async def until_phase(self, name, *phases):
        async def reached():
            instance = await self.see(name)
            return instance is not None and instance.phase in phases

        await until(reached)

    async def see(self, name):
        return (await self.runtime.observe()).get(name)

    async def ended(self, name):
        """The record of how it ended, once it has."""

        async def end():
            instance = await self.see(name)
            return instance is not None and instance.phase is Phase.EXITED and instance.exit

        return await until(end)

    async def until_said(self, name, line):
        await until(lambda: self._has_said(name, line))

    async def until_used(self, name, claim):
        await until(lambda: self._uses(name, claim))

    async def until_isolated(self, name):
        return await until(lambda: self._isolation(name))

    async def stop(self, name, grace_s=5.0):
        await self.runtime.stop(name, grace=timedelta(seconds=grace_s), cause="the test is over")

    async def lines(self, name, *, stream="stdout", tail=-1):
        """What it printed; `stream` None: on any stream, and what the runtime noted."""
        async with aclosing(self.runtime.logs(name, follow=False, tail=tail)) as lines:
            return [line.text async for line in lines if stream in (line.stream, None)]

    async def _has_said(self, name, line):
        return line in await self.lines(name)

    async def _uses(self, name, claim):
        return claim((await self.see(name)).usage)

    async def _isolation(self, name):
        return (await self.see(name)).isolation

    async def _is_ready(self, name):
        instance = await self.see(name)
        return "ready" in await self.lines(name) or instance.phase is Phase.EXITED

    async def clear(self):
        """End everything; afterwards nothing may be left."""
        for name in await self.runtime.observe():
            await self.stop(name, 0.0)
            await self.runtime.remove(name, delete_data=True)
        await self.runtime.close(delete_data=True)

    def is_without_networks(self):
        return True

    @property
    def can(self):
        return self.runtime.capabilities

    def written(self):
        """Contents of all that the runtime keeps."""
        return [path.read_bytes() for path in self.state.rglob("*") if path.is_file()]

    def folder(self, name):
        return self.state / "run" / name

    def signal(self, name, number):
        """Send a signal to the plugin itself."""
        sandbox.terminate(
            int(json.loads((self.folder(name) / "state.json").read_bytes())["pid"]), number
        )

    def shim(self, name):
        return int((self.folder(name) / "lock").read_text())

    def processes(self, name=None):
        """Every process that this world, or one instance of it, has on the machine."""
        mark = str(self.state if name is None else self.folder(name)).encode() + b"/"
        found = {pid for pid in _pids() if mark in _words(pid)}
        while more := {pid for pid in _pids() if _parent(pid) in found} - found:
            found |= more
        for folder in self.groups(name):
            found |= {int(pid) for pid in _read(f"{folder}/cgroup.procs").split()}
        return found

    def attendants(self, name):
        """Who of ours may live on when a plugin has ended."""
        return {self.shim(name)}

    def shims(self, name):
        """Shims without the children that they forked and that still look like them."""
        alike = {pid for pid in self.processes(name) if b"shim.py" in _words(pid)}
        return {pid for pid in alike if _parent(pid) not in alike}

    def groups(self, name=None):
        """Folders of our control groups."""
        owner = self.runtime._births._owner
        wanted = f"{owner}.*" if name is None else f"{owner}.{name}"
        top = Path("/sys/fs/cgroup")
        return [*top.glob(f"*/ntp/{wanted}"), *top.glob(f"ntp/{wanted}")]

    def leftovers(self):
        """Whatever is left of this world, in words."""
        mounts = [
            line for line in _read("/proc/mounts").decode().splitlines() if str(self.state) in line
        ]
        files = [str(path) for path in self.state.rglob("*")]
        processes = [f"process {_read(f'/proc/{pid}/cmdline')}" for pid in self.processes()]
        return [*processes, *map(str, self.groups()), *mounts, *files]


class DockerWorld(ProcessWorld):
    """Plugins as containers of an engine."""

    def __init__(self, state, *, engine):
        self.engine = engine
        self.made = []
        super().__init__(state)

    def again(self, **options):
        made = DockerRuntime("trial", self.state, base_url=self.engine.url, **options)
        self.made.append(made)
        return made

    async def clear(self):
        await super().clear()
        for runtime in self.made:
            runtime._engine.close()

    def launch(self, name, program, **fields):
        return super().launch(name, program, **{"environment": self.engine.environment(), **fields})

    def built(self, reference, *changes):
        """An image with these lines of a Dockerfile on top of the base; its id."""
        words = [word for change in changes for word in ("--change", change)]
        made = self.engine.run("create", self.engine.environment().image.reference, "true").strip()
        try:
            return self.engine.run("commit", *words, made, reference).strip()
        finally:
            self.engine.run("rm", made)

    def is_without_networks(self):
        return self.engine.pid is not None  # ours is started without rules

    def container(self, name):
        """What the engine says of the container of an instance."""
        return self.engine.inspect(f"ntp-{self.runtime._owner}-{name}")

    def signal(self, name, number):
        self.engine.run("kill", "--signal", str(int(number)), self.container(name)["Id"])

    def processes(self, name=None):
        return {
            int(pid)
            for group in self.groups(name)
            for pid in _read(f"{group}/cgroup.procs").split()
        }

    def groups(self, name=None):
        names = [name] if name else self._containers()
        ids = [self.container(each)["Id"] for each in names]
        places = ("*/docker/{}", "docker/{}", "system.slice/docker-{}.scope")
        return [
            path
            for each in ids
            for place in places
            for path in Path("/sys/fs/cgroup").glob(place.format(each))
        ]

    def _containers(self):
        wanted = f"label=io.ntp.owner={self.runtime._owner}"
        found = self.engine.run(
            "ps", "--filter", wanted, "--format", '{{.Label "io.ntp.instance"}}'
        )
        return [name for name in found.split() if name]

    def attendants(self, name):  # noqa: ARG002
        return set()

    def leftovers(self):
        wanted = f"label=io.ntp.owner={self.runtime._owner}"
        found = self.engine.run("ps", "--all", "--quiet", "--filter", wanted).split()
        found += self.engine.run("network", "ls", "--quiet", "--filter", wanted).split()
        memory = [self.runtime._places.memory] if self.runtime._places.memory.exists() else []
        return [*found, *map(str, memory), *[str(path) for path in self.state.rglob("*")]]


class KubernetesWorld(ProcessWorld):
    """Plugins as workloads of a cluster whose only node is this machine."""

    can_limit = True
    many = 8
    """Pods that two cores start in a reasonable time."""

    def __init__(self, state, *, cluster, connected):
        self.cluster = cluster
        self.connected = connected
        super().__init__(state)

    def again(self):
        return KubernetesRuntime("trial", self.connected, Ground())

    def launch(self, name, program, **fields):
        return super().launch(name, program, **{"environment": self.cluster.python(), **fields})

    def pod(self, name):
        return self.cluster.get("pod", "-n", self.connected.namespace, f"{name}-0")

    def signal(self, name, number):
        main = min(pid for pid in self.processes(name) if b"/python" in _words(pid))
        os.kill(main, number)

    def processes(self, name=None):
        return {
            int(pid)
            for group in self.groups(name)
            for pid in _read(f"{group}/cgroup.procs").split()
        }

    def groups(self, name=None):
        listed = self.cluster.get("pods", "-n", self.connected.namespace)["items"]
        chosen = [each for each in listed if name in (None, each["metadata"]["name"][:-2])]
        ids = [
            status["containerID"].rpartition("/")[2]
            for each in chosen
            for status in each["status"].get("containerStatuses", ())
            if status.get("containerID")
        ]
        tops = [
            *Path("/sys/fs/cgroup").glob("*/kubepods*"),
            *Path("/sys/fs/cgroup").glob("kubepods*"),
        ]
        folders = [folder for top in tops for folder, _, _ in os.walk(top)]
        return [Path(folder) for each in ids for folder in folders if each in folder]

    def attendants(self, name):  # noqa: ARG002
        return set()

    def written(self):
        kinds = "secrets,configmaps,statefulsets,pods"
        return [
            self.cluster.kubectl(
                "get", kinds, "-n", self.connected.namespace, "-o", "yaml"
            ).encode()
        ]

    def leftovers(self):
        kinds = "statefulsets,pods,secrets,networkpolicies,persistentvolumeclaims"
        chosen = "app.kubernetes.io/managed-by=ntp"
        found = self.cluster.kubectl(
            "get", kinds, "-n", self.connected.namespace, "-l", chosen, "-o", "name"
        )
        return found.split()


def _pids():
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _words(pid):
    return _read(f"/proc/{pid}/cmdline").replace(b"\0", b"/")


def _parent(pid):
    stat = _read(f"/proc/{pid}/stat")
    return int(stat.rpartition(b")")[2].split()[1]) if stat else 0


def _worlds(runtimes, *, rare):
    """The adapters to try here. An ordinary user has two kinds of process sandbox, root one."""
    if "process" in runtimes:
        yield pytest.param((ProcessWorld, {}), id="process")
        if os.geteuid() != 0 and sandbox.best_tier() > 1:
            yield pytest.param((ProcessWorld, {"tier": 1}), id="landlock")
    if "docker" in runtimes:
        yield pytest.param((DockerWorld, {}), id="docker", marks=pytest.mark.docker)
    if "kubernetes" in runtimes:
        marks = [pytest.mark.timeout(180), *([pytest.mark.long] if rare else [])]
        yield pytest.param((KubernetesWorld, {}), id="kubernetes", marks=marks)


def pytest_generate_tests(metafunc):
    """A module that is about one runtime says so: RUNTIMES."""
    if "world" in metafunc.fixturenames:
        runtimes = getattr(metafunc.module, "RUNTIMES", ("process", "docker", "kubernetes"))
        rare = metafunc.definition.get_closest_marker("rare") is not None
        metafunc.parametrize("world", list(_worlds(runtimes, rare=rare)), indirect=True)


@pytest.fixture
async def world(request, tmp_path):
    """A fresh world; the test fails if anything of it is left at the end."""
    make, options = request.param
    async with contextlib.AsyncExitStack() as stack:
        if make is DockerWorld:
            options = {"engine": request.getfixturevalue("engine")}
        if make is KubernetesWorld:
            cluster, namespace = map(request.getfixturevalue, ("cluster", "namespace"))
            place = Place(kubeconfig=cluster.kubeconfig, namespace=namespace)
            connected = await stack.enter_async_context(Cluster(place))
            options = {"cluster": cluster, "connected": connected}
        made = make(tmp_path / "state", **options)
        yield made
        await made.clear()
        await until(lambda: not made.leftovers())


@pytest.fixture(autouse=True)
def _able(request):
    """A test that is about what a runtime may lack says so: `needs("reads_kernel")`."""
    marker = request.node.get_closest_marker("needs")
    if marker is None or "world" not in request.fixturenames:
        return
    capabilities = request.getfixturevalue("world").can
    for name in marker.args:
        if not getattr(capabilities, name):
            pytest.skip(f"this runtime says of itself: {name} is False")


@pytest.fixture
def limited(world):
    if not world.can_limit:
        pytest.skip("limits need control groups that we may write")
    return world
