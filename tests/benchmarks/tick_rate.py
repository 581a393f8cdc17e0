"""The highest rate at which a strategy's process, on one core, takes and analyses ticks and loses none."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ntp.contract.beat import Stage
from ntp.contract.names import Kind
from ntp.contract.subjects import data
from orchestrator.spec.model import Input
from tests.benchmarks import rig
from tests.benchmarks.figure import Figure
from tests.benchmarks.flood import SPIKE, Order
from tests.integration.runner.conftest import Bench

BATCHES = {1: 200_000, 10: 1_000_000, 1_000: 2_000_000}
"""Ticks of one message -> ticks of one run."""
TURNS = 3
CALLBACKS = 200_000
SYMBOL = "FLOOD"


@dataclass
class Run:
    """Ticks, or messages: by the clock, and in a second of its core that it really had."""

    count: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        return self.count / self.cpu_s


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    async with rig.opened() as bench:
        counter = bench.folder / "ticks"
        bench.add("flood", Kind.DATA_SOURCE, "", config={})
        bench.add(
            "counting",
            Kind.STRATEGY,
            rig.PLUGINS / "counting.py",
            entry="Counting",
            inputs=[Input("flood")],
            config={"counter": str(counter)},
        )
        await bench.open()
        keys = _keys(bench)
        strategy = Strategy(bench, counter, keys)
        await strategy.begin()
        peers, runs = [], {batch: [] for batch in BATCHES}
        for _ in range(TURNS):
            peers.append(await _callbacks(bench, keys))
            for batch, count in BATCHES.items():
                runs[batch].append(await strategy.run(batch, count))
        await strategy.finish()
        return [_figure(batch, runs[batch], peers) for batch in BATCHES]


def _figure(batch: int, runs: list[Run], peers: list[Run]) -> Figure:
    found, peer = (max(each, key=lambda run: run.rate) for each in (runs, peers))
    wall, peer_wall = (max(run.count / run.wall_s for run in each) for each in (runs, peers))
    return Figure(
        what=f"ticks a second on one core, none lost, all signals stored; {batch:,} in a message",
        value=f"{found.rate:,.0f}/s",
        peer=f"messages to an empty callback of nats-py {peer.rate:,.0f}/s",
        ratio=found.rate / peer.rate,
        target="" if batch < max(BATCHES) else "4x, or 300,000/s",
        note=f"By the clock {wall:,.0f}/s, nats-py {peer_wall:,.0f}/s: {wall / peer_wall:.2f}x. The figures are"
        " of a second that the receiving process had of its core, of both the best of their turns.",
    )


class Strategy:
    """The runner's process of a strategy, and who sends to it."""

    def __init__(self, bench: Bench, counter: Path, keys: dict[str, Path]) -> None:
        self._bench = bench
        self._counter = rig.Counter(counter)
        self._file = counter
        self._keys = keys
        self._sent = 0

    async def begin(self) -> None:
        self._bench.start("counting")
        await self._bench.ready("counting")
        rig.pin(self._pid, rig.MINE)
        await self.run(100, 20_000)

    @property
    def _pid(self) -> int:
        return self._bench.processes["counting"].pid

    async def run(self, batch: int, count: int, *, end: bool = False) -> Run:
        cpu, before = rig.cpu_s(self._pid), self._counter.count
        order = Order(
            address=self._bench.broker.address(),
            credentials=str(self._keys["flood"]),
            subject=data(SYMBOL),
            counter=str(self._file),
            source="flood",
            symbol=SYMBOL,
            count=count,
            batch=batch,
            end=end,
        )
        began = int(await rig.program("flood", msgspec.json.encode(order).decode()))
        await self._bench.until(
            lambda: self._counter.count >= before + count - count % 64, within=rig.DEADLINE_S
        )
        self._sent += count
        wall_s = (self._counter.read()[2] - began) / 1e9
        return Run(count, wall_s, rig.cpu_s(self._pid) - cpu)

    async def finish(self) -> None:
        """See that nothing of all this was lost, and that every signal was stored."""
        await self.run(64, 64, end=True)
        await self._bench.until(lambda: self._bench.stage("counting") is Stage.EXHAUSTED)
        flows = self._bench.flows("counting", "data")
        assert flows == {SYMBOL: (self._sent, 0)}, f"{flows}, {self._sent} were sent"
        signals = self._bench.flows("counting", "signal", sent=True)[SYMBOL][0]
        assert signals >= self._sent // SPIKE * 0.9, f"only {signals} signals"


def _keys(bench: Bench) -> dict[str, Path]:
    """Write the credentials of the sender and of the core for programs of our own."""
    found = {"flood": bench.broker.credentials("flood"), "core": bench.broker.core_credentials()}
    for name, text in found.items():
        (bench.folder / f"{name}.creds").write_bytes(text)
    return {name: bench.folder / f"{name}.creds" for name in found}


async def _callbacks(bench: Bench, keys: dict[str, Path]) -> Run:
    """Let nats-py hand messages of one tick to a callback."""
    file = bench.folder / "callbacks"
    counter = rig.Counter(file)
    counter.write(0, 0, 0)
    address, subject = bench.broker.address(), "bench.ticks"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.callbacks",
        address, str(keys["core"]), subject, str(file), str(CALLBACKS),
        cwd=rig.ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        rig.pin(process.pid, rig.MINE)
        order = Order(
            address=address,
            credentials=str(keys["core"]),
            subject=subject,
            counter=str(file),
            source="flood",
            symbol=SYMBOL,
            count=CALLBACKS,
            batch=1,
        )
        await rig.program("flood", msgspec.json.encode(order).decode())
        async with asyncio.timeout(rig.DEADLINE_S):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    count, first, last = counter.read()
    assert count == CALLBACKS, f"only {count}"
    return Run(count, (last - first) / 1e9, float(printed))
