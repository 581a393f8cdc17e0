"""Memory of the broker and of plugins that have nothing to do, and how soon they are ready."""

import asyncio
import sys
import time
from pathlib import Path

from ntp.contract.names import Kind
from orchestrator.spec.model import Input
from tests.benchmarks import rig
from tests.benchmarks.figure import Figure
from tests.integration.runner.conftest import Bench

MANY = 20
IDLE = """
import asyncio
from ntp import DataSourcePlugin, StrategyPlugin

class Source(DataSourcePlugin):
    async def stream(self):
        await asyncio.Event().wait()
        yield

class Strategy(StrategyPlugin):
    def analyze(self, data, history):
        return None
"""
BARE = (
    "import asyncio, nats, sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"
)
SETTLE_S = 3.0
IDLE_S = 20.0
Weight = tuple[float, float]
"""Resident, and what of it is its own share (PSS), MiB."""


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    async with rig.opened() as bench:
        bench.add("source", Kind.DATA_SOURCE, IDLE, entry="Source")
        names = [f"idle{number}" for number in range(MANY)]
        for name in names:
            bench.add(name, Kind.STRATEGY, IDLE, entry="Strategy", inputs=[Input("source")])
        await bench.open()
        server: int = bench._server.pid
        empty = weight(server)
        ready = await _start(bench, "source", *names[:1])
        for name in names[1:]:
            await _start(bench, name)
        await asyncio.sleep(SETTLE_S)  # what a start needs is given back
        full = weight(server)
        pids = {name: bench.processes[name].pid for name in ("source", names[0])}
        plugins = {name: weight(pid) for name, pid in pids.items()}
        before = {name: _rest(pid) for name, pid in pids.items()}
        await asyncio.sleep(IDLE_S)
        idle = {
            name: [
                (now - then) / IDLE_S for now, then in zip(_rest(pid), before[name], strict=True)
            ]
            for name, pid in pids.items()
        }
        bare = await _bare()
    return [
        *(
            Figure(
                what=f"memory of an idle {name}, resident / own share",
                value=words(plugins[key]),
                peer=f"Python with asyncio and nats-py imported {words(bare)}",
                ratio=plugins[key][0] / bare[0],
            )
            for name, key in (("source", "source"), ("strategy", names[0]))
        ),
        *(
            Figure(
                what=f"an idle {name}: of the processor, and how often it wakes",
                value=f"{idle[key][0]:.1f} ms and {idle[key][1]:.1f} times a second",
            )
            for name, key in (("source", "source"), ("strategy", names[0]))
        ),
        Figure(
            what=f"memory of the broker with {MANY + 1} plugins, resident / own share",
            value=words(full),
            peer=f"before the first has connected {words(empty)}",
            ratio=full[0] / empty[0],
        ),
        Figure(
            what="from the start of a source's and a strategy's process until they are ready",
            value=f"{ready * 1e3:,.0f} ms",
        ),
    ]


async def _start(bench: Bench, *names: str) -> float:
    began = time.perf_counter()
    bench.start(*names)
    await bench.ready(*names)
    return time.perf_counter() - began


async def _bare() -> Weight:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BARE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        return weight(process.pid)
    finally:
        process.kill()
        await process.wait()


def weight(pid: int) -> Weight:
    """Return what a process takes of memory now."""
    lines = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    )
    resident, share = (int(lines[name].split()[0]) / 1024 for name in ("Rss", "Pss"))
    return resident, share


def _rest(pid: int) -> tuple[float, float]:
    """Return how long a process has run, ms, and how often it went to sleep by itself."""
    run_ms = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    sleeps = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        sleeps += int(lines["voluntary_ctxt_switches"])
    return run_ms, sleeps


def words(found: Weight) -> str:
    return "{:.1f} / {:.1f} MiB".format(*found)
