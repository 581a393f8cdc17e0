"""A controller that has COUNT entries running in a machine of its own memory, and says what it weighs.

    python -m tests.benchmarks.quiet_controller COUNT FOLDER

Real: the controller, its store on disk, what `ntpctl serve` imports. In memory: runtime, broker, bus, so
that 1,000 entries need no 1,000 processes. Prints {"rss": bytes, "status": bytes of a whole status}.
"""

import asyncio
import json
import sys
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec

from orchestrator.app import house
from orchestrator.controller.controller import Controller
from orchestrator.controller.outside import Outside, Tempo
from orchestrator.decide.report import Outcome
from orchestrator.launch import Launch
from orchestrator.store.lease import FileLease
from orchestrator.store.secrets import LocalSecrets
from orchestrator.store.sqlite import SqliteStore
from tests.benchmarks import many_entries
from tests.worlds.memory import Machine, MemoryRuntime
from tests.worlds.memory_bus import MemoryBroker, MemoryBus, MemoryCatalog

DEADLINE = timedelta(minutes=3)
TEMPO = Tempo(relist=timedelta(seconds=1))
PASSES_S = 4.0
"""Long enough for some looks at everything: what a look needs is part of the weight."""


class Forgetful(MemoryRuntime):
    """Keeps of a launch only what the bus asks for: the real one keeps nothing of it in memory."""

    async def start(self, launch: Launch) -> None:
        await super().start(launch)
        life = self.machine.instances[launch.name].id
        self.machine.halted[life] = self.machine.halt_of(launch.name)
        self.machine.launches[launch.name] = replace(launch, spec=b"", files={}, argv=(), code=None)
        self.machine.history.clear()


async def weigh(count: int, folder: Path) -> dict[str, int]:
    machine = Machine()
    async with FileLease(folder) as lease:
        with SqliteStore.open(folder / house.STORE) as store:
            catalog = MemoryCatalog(folder)
            controller = Controller(
                Outside(
                    project="bench",
                    runtime=Forgetful(machine),
                    broker=MemoryBroker(machine),
                    bus=MemoryBus(machine),  # type: ignore[arg-type]  # it tells, nobody sets
                    catalog=lambda _: catalog,
                    store=store,
                    secrets=LocalSecrets(folder, folder=folder, environment={}),
                    lease=lease,
                    tempo=TEMPO,
                )
            )
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(controller.run())
                await asyncio.sleep(0)
                if count:
                    await _apply(controller, count)
                await asyncio.sleep(PASSES_S)
                status = await controller.status(None)
                assert len(status.plugins) == count
                told = {"rss": _rss(), "status": len(msgspec.json.encode(status))}
                running.cancel()
    return told


async def _apply(controller: Controller, count: int) -> None:
    sources = [("plugins.yaml", many_entries.text(count))]
    outcome = None
    async with aclosing(
        controller.apply(
            sources,
            settings={},
            secrets={},
            expect=None,
            allow_deletes=False,
            pins={},
            wait=True,
            deadline=DEADLINE,
        )
    ) as items:
        async for item in items:
            outcome = item
    assert isinstance(outcome, Outcome), outcome
    assert outcome.ready, outcome.waiting[:3]


def _rss() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel shows no VmRSS")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(weigh(int(sys.argv[1]), Path(sys.argv[2])))))
