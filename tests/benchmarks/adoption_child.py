"""Two runtimes on one state folder, one after the other: the first is killed, the second adopts.

python -m tests.benchmarks.adoption_child start FOLDER COUNT     says {name: life}, then waits to be killed
python -m tests.benchmarks.adoption_child adopt FOLDER           says what it found, and how soon
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ntp.confine import shim_files
from orchestrator.controller.finishing import finishing
from orchestrator.decide.state import Instance, Phase
from orchestrator.runtime.process.runtime import ProcessRuntime
from tests.benchmarks import tiny

PROGRAM = "import time; time.sleep(3600)"


async def start(state: Path, count: int) -> None:
    runtime = ProcessRuntime(tiny.PROJECT, state)
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            launch = tiny.launch(f"tiny-{number:04}", "-I", "-S", "-c", PROGRAM)
            tasks.create_task(runtime.start(launch))
    say(lives(await runtime.observe()))
    events = runtime.events()
    async with finishing(events):
        async for _ in events:
            pass


async def adopt(state: Path) -> None:
    began = time.perf_counter()
    runtime = ProcessRuntime(tiny.PROJECT, state)
    found = await runtime.observe()
    known = time.perf_counter()
    events = runtime.events()
    async with finishing(events):
        await anext(events)
        listening = time.perf_counter()
    again = time.perf_counter()
    await runtime.observe()
    told = {
        "known_s": known - began,
        "listening_s": listening - began,
        "again_s": time.perf_counter() - again,
        "labels_s": labels(state),
        "lives": lives(found),
    }
    say(told)


def labels(state: Path) -> float:
    """Return the seconds to read and parse every label, and nothing else."""
    began = time.perf_counter()
    for folder in (state / "run").iterdir():
        json.loads((folder / shim_files.INSTANCE).read_bytes())
    return time.perf_counter() - began


def lives(found: Mapping[str, Instance]) -> dict[str, str]:
    return {name: each.id for name, each in found.items() if each.phase is Phase.RUNNING}


def say(words: object) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # as `ntpctl serve` does
    if sys.argv[1] == "start":
        asyncio.run(start(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        asyncio.run(adopt(Path(sys.argv[2])))
