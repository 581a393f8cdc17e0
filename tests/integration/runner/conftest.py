"""Real runner processes on a real nats-server, each plugin with the account that its wiring gives it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from ntp.contract.beat import Beat, Stage
from ntp.contract.launch import (
    CREDENTIALS_FILE,
    LAUNCH_FILE,
    TERMINATION_FILE,
    BusAddress,
    LaunchFile,
    Termination,
)
from ntp.contract.names import Kind
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.connection import listen
from orchestrator.bus.external import External
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.spec.model import Desired, Input, PluginSpec
from orchestrator.spec.rights import RECEIVERS, rights
from orchestrator.spec.wiring import Wiring, trading
from tests.worlds.specs import changed, spec

DEADLINE = 30.0
ROOT = Path(__file__).parents[3]


class Bench:
    """One project: plugins are added, then the broker is opened, then each is started.

    Args:
        folder: for what is made.
        store: for what the broker keeps; else `folder` too.
        external: a NATS that serves instead of one of its own.
    """

    def __init__(
        self, folder: Path, store: Path | None = None, *, external: External | None = None
    ) -> None:
        self.folder = folder
        self.plugins: dict[str, PluginSpec] = {}
        self.launches: dict[str, dict] = {}
        self.processes: dict[str, subprocess.Popen] = {}
        place = (store or folder) / "broker"
        self.broker = NatsBroker(place, project="test", external=external)
        self._server: subprocess.Popen | None = None
        self.bus = None

    def add(
        self,
        name: str,
        kind: Kind,
        code: str | Path,
        *,
        entry: str = "Plugin",
        inputs: Sequence[Input] = (),
        config: dict | None = None,
        **launch,
    ) -> None:
        """Declare a plugin; `code` is the text of a module, or a folder that holds one."""
        module = "written"
        if isinstance(code, Path):
            folder, module = code.parent, code.stem
        else:
            folder = self.folder / "code" / name
            folder.mkdir(parents=True)
            (folder / "written.py").write_text(textwrap.dedent(code))
        self.plugins[name] = changed(
            spec(name, kind, config=config),
            entrypoint=f"{module}:{entry}",
            inputs=tuple(inputs),
        )
        self.launches[name] = {"code": str(folder), **launch}

    async def open(self) -> None:
        launch = self.broker.launch()
        if launch is None:
            return await self.ensure()
        with (self.folder / "broker.log").open("ab") as log:
            self._server = subprocess.Popen(
                launch.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            await self.ensure()
        except ActionError as error:
            log = (self.folder / "broker.log").read_text()
            pytest.fail(f"{error}\n{log[-4000:]}")

    async def ensure(self) -> None:
        """As the controller does: again until the broker answers, and refuses nobody anything."""
        desired = Desired("test", 1, self.plugins)
        wanted = rights(desired, Wiring(desired).edges)
        ends = time.monotonic() + DEADLINE
        refused: object = "it does not answer"
        while refused:
            assert time.monotonic() < ends, refused
            try:
                refused = await self.broker.ensure(wanted)
            except UnreachableError:
                await asyncio.sleep(0.02)

    def freeze_broker(self) -> None:
        """It takes what is sent to it, as far as the kernel's buffers go, and does nothing with it."""
        self._server.send_signal(signal.SIGSTOP)

    def freeze(self) -> None:
        """Stop everything where it is, the broker first."""
        self.freeze_broker()
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGSTOP)

    def kill_broker(self) -> None:
        self._server.kill()
        self._server.wait(DEADLINE)
        self._server = None

    def start(self, *names: str) -> None:
        wiring = Wiring(Desired("test", 1, self.plugins))
        for name in names or self.plugins:
            spec = self.plugins[name]
            folder = self.place(name)
            folder.mkdir(parents=True, exist_ok=True)
            launch = LaunchFile(
                project="test",
                instance=name,
                kind=spec.kind,
                plugin=name,
                entrypoint=spec.entrypoint,
                generation=1,
                bus=BusAddress([f"nats://{each}" for each in self.broker.address().split(",")]),
                config=dict(spec.config),
                inputs=list(wiring.listens(name)),
                trading=trading(spec),
                plain_network=True,
                dead_letters=spec.kind in RECEIVERS,
                **self.launches[name],
            )
            (folder / LAUNCH_FILE).write_bytes(msgspec.json.encode(launch))
            (folder / CREDENTIALS_FILE).write_bytes(self.broker.credentials(name))
            self.start_as_it_is(name)

    def start_as_it_is(self, name: str) -> None:
        """Start with the launch file that is there."""
        folder = self.place(name)
        with (folder / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "ntp.runner"],
                env={**os.environ, "NTP_LAUNCH": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def place(self, name: str) -> Path:
        return self.folder / "run" / name

    def log(self, name: str) -> str:
        return (self.place(name) / "log").read_text()

    def beat(self, name: str) -> Beat | None:
        """Return the last beat of the process that runs now."""
        heard = self.bus.beats().get(name)
        return None if heard is None else heard[0]

    def stage(self, name: str) -> Stage | None:
        beat = self.beat(name)
        return None if beat is None else beat.stage

    async def until(self, state, *, within: float = DEADLINE):
        """Poll until `state()` is true, and return it; fail with the logs at the deadline."""
        ends = time.monotonic() + within
        while not (found := state()):
            if time.monotonic() > ends:
                logs = "\n".join(f"--- {n}\n{self.log(n)[-2000:]}" for n in self.processes)
                beats = "\n".join(map(str, (self.beat(n) for n in self.processes)))
                pytest.fail(f"the state was not reached in time\n{logs}\n{beats}")
            await asyncio.sleep(0.01)
        return found

    async def ready(self, *names: str) -> None:
        for name in names:
            await self.until(lambda n=name: self.stage(n) in {Stage.READY, Stage.EXHAUSTED})

    async def exhausted(self, *names: str, within: float = DEADLINE) -> None:
        for name in names:
            await self.until(lambda n=name: self.stage(n) is Stage.EXHAUSTED, within=within)

    async def ended(self, name: str) -> int:
        process = self.processes[name]
        await self.until(lambda: process.poll() is not None)
        return process.returncode

    def termination(self, name: str) -> Termination:
        return msgspec.json.decode(
            (self.place(name) / TERMINATION_FILE).read_bytes(), type=Termination
        )

    async def stop(self, name: str) -> int:
        self.processes[name].send_signal(signal.SIGTERM)
        return await self.ended(name)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait(DEADLINE)

    def flows(self, name: str, channel: str, *, sent: bool = False) -> dict[str, tuple[int, int]]:
        """Return (count, lost) by symbol."""
        beat = self.beat(name)
        flows = beat.sent if sent else beat.received
        return {flow.symbol: (flow.count, flow.lost) for flow in flows if flow.channel == channel}

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(DEADLINE)
        if self._server is not None:
            self.kill_broker()


@asynccontextmanager
async def heard(bench: Bench) -> AsyncIterator[Bench]:
    """Hear its beats; at the end nothing of it runs."""
    try:
        async with (
            bench.broker,
            listen(bench.broker.address, bench.broker.core_credentials) as bench.bus,
        ):
            yield bench
    finally:
        bench.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with heard(Bench(tmp_path)) as bench:
        yield bench


def written(folder: Path) -> list[dict]:
    """Return what a plugin noted, one JSON a line."""
    return [json.loads(line) for line in folder.read_text().splitlines()]
