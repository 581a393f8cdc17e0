"""What each layer of isolation costs: at the start of a program, and on the way of a tick.

Starts: from the call to the program's own first instruction, round after round through all layers, so
that a busy moment of the machine hits all alike.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import ntp
from ntp.confine import probe, seccomp
from orchestrator.controller.finishing import finishing
from orchestrator.decide.state import Phase
from orchestrator.runtime.process.runtime import ProcessRuntime
from tests.benchmarks import tick_age, tiny
from tests.benchmarks.figure import Figure

ROUNDS = 25
DEADLINE_S = 30.0
BARE = "bare"
STARTER = Path(__file__).with_name("start_layers.py")
PROGRAM = "import os, time; os.write(1, b'%d\\n' % time.monotonic_ns())"


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ntp-bench-isolation-") as name:
        Path(name).chmod(0o755)  # an ordinary user reads the filter in it
        starts = _starts(Path(name))
    return [*starts, *tick_age.measure()]


def _starts(folder: Path) -> list[Figure]:
    filters = folder / "filters"
    filters.mkdir(mode=0o755)
    program = seccomp.export(filters, inet=False)
    users = [(), ("ordinary",)] if os.geteuid() == 0 else [()]
    with ExitStack() as stack:
        starters = [stack.enter_context(_starter(program, *user)) for user in users]
        rounds = asyncio.run(_rounds(starters, folder / "state"))
    return [figure for seen in rounds for figure in _figures(seen)]


@contextmanager
def _starter(program: Path, *user: str) -> Iterator[subprocess.Popen[str]]:
    sdk = str(Path(ntp.__path__[0]).parent)
    command = [sys.executable, "-I", "-S", str(STARTER), sdk, str(program), *user]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process  # it ends when its input is closed


async def _rounds(
    starters: Sequence[subprocess.Popen[str]], state: Path
) -> list[Mapping[str, list[float]]]:
    """Return layer -> seconds for each starter; the first one's has our own shim too."""
    runtime = ProcessRuntime(tiny.PROJECT, state)
    seen: list[dict[str, list[float]]] = [defaultdict(list) for _ in starters]
    through_shim = f"+ shim, launch files (tier {probe.probe().tier})"
    try:
        for number in range(ROUNDS + 1):
            for starter, layers in zip(starters, seen, strict=True):
                found = await asyncio.to_thread(_one_round, starter)
                found |= {through_shim: await _shim(runtime)} if layers is seen[0] else {}
                for layer, seconds in found.items() if number else ():  # the first one warms up
                    layers[layer].append(seconds)
    finally:
        await tiny.clear(tiny.PROJECT, state)
    return list(seen)


def _one_round(starter: subprocess.Popen[str]) -> dict[str, float]:
    assert starter.stdin is not None
    assert starter.stdout is not None
    starter.stdin.write("\n")
    starter.stdin.flush()
    found: dict[str, float] = json.loads(starter.stdout.readline())
    return found


async def _shim(runtime: ProcessRuntime) -> float:
    began = time.monotonic_ns()
    await runtime.start(tiny.launch("tiny", "-I", "-S", "-c", PROGRAM))
    async with asyncio.timeout(DEADLINE_S):
        while (await runtime.observe())["tiny"].phase is not Phase.EXITED:
            await asyncio.sleep(0.01)
    lines = runtime.logs("tiny", follow=False, tail=100)
    async with finishing(lines):
        said = [line.text async for line in lines if line.stream == "stdout"]
    await runtime.remove("tiny", delete_data=True)
    return (int(said[-1]) - began) / 1e9


def _figures(seen: Mapping[str, list[float]]) -> Iterator[Figure]:
    bare = statistics.median(seen[BARE])
    for layer, samples in seen.items():
        if layer != BARE:
            took = statistics.median(samples)
            yield Figure(
                what=f"start a tiny Python: {layer}",
                value=f"{took * 1e3:.0f} ms",
                peer=f"bare {bare * 1e3:.0f} ms",
                ratio=took / bare,
            )
