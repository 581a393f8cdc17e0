"""Tiny programs as instances of the process runtime, and the end of all that runs below a state folder."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from orchestrator.decide.state import Hashes
from orchestrator.launch import Environment, Launch
from orchestrator.runtime.process.runtime import ProcessRuntime
from orchestrator.spec.model import Resources

PROJECT = "bench"
MIB = 1 << 20
AT_ONCE = 8
SMALL = Resources(memory=64 * MIB, cpu=2.0, pids=16, tmp=MIB)


def launch(name: str, *argv: str, sandbox: bool = True) -> Launch:
    """Return a launch of this interpreter with `argv`; without a sandbox: of the program `argv`."""
    return Launch(
        project=PROJECT,
        name=name,
        kind="strategy",
        generation=1,
        attempt=1,
        epoch=1,
        hashes=Hashes("identity", "resources", "wiring", "config", "policy"),
        spec=b"{}",
        argv=argv,
        environment=Environment(Path(sys.executable), (), "none") if sandbox else None,
        code=None,
        files={"launch.json": b"{}", "bus.creds": b"none"},
        resources=SMALL,
        sandbox=sandbox,
    )


async def clear(project: str, state: Path) -> None:
    """End and remove every instance, whoever started it."""
    runtime = ProcessRuntime(project, state)
    gate = asyncio.Semaphore(AT_ONCE)

    async def end(name: str) -> None:
        async with gate:
            await runtime.stop(name, grace=timedelta(0), cause="the benchmark is over")
            await runtime.remove(name, delete_data=True)

    async with asyncio.TaskGroup() as tasks:
        for name in await runtime.observe():
            tasks.create_task(end(name))
    await runtime.close(delete_data=True)
