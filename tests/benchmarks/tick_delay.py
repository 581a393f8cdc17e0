"""How old a tick is when its strategy is handed it: beside the server's own way, and beside a flood."""

import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from ntp.contract.names import Kind
from ntp.contract.subjects import data
from orchestrator.spec.model import Input
from tests.benchmarks import rig
from tests.benchmarks.figure import Figure, percentile
from tests.benchmarks.flood import Order
from tests.integration.runner.conftest import Bench

RATES = {1_000: 6_000, 10_000: 40_000}
"""Ticks a second -> ticks of one run."""
TURNS = 5
QUIET = 200
FLOOD = 100_000
"""Ticks a second."""
SKIP_S = 1
QUIET_S = 6
Ages = tuple[float, float]
"""Median and 99th percentile, microseconds."""


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    trips, ages, alone, beside = [], {rate: [] for rate in RATES}, [], []
    for _ in range(TURNS):
        for rate, count in RATES.items():
            async with _opened(rate, count) as bench:
                ages[rate].append(await _ages(bench, count, hurries=True))
                if rate == min(RATES):
                    trips.append(await _round_trips(bench))
        for found, flood in ((alone, False), (beside, True)):
            async with _opened(QUIET, QUIET * QUIET_S) as bench:
                found.append(await _quiet(bench, flood=flood))
    trip = _medians(trips)
    # Of these the quietest run: a flood leaves neighbours no core to be kept off.
    alone_at, beside_at = (tuple(map(min, zip(*each, strict=True))) for each in (alone, beside))
    figures = []
    for rate, found in ages.items():
        age = _medians(found)
        figures += [
            Figure(
                what=f"a tick's way from source to strategy at {rate:,}/s, {name}",
                value=f"{age[at]:,.0f} us",
                peer=f"round trip of bare sockets at 1,000/s {trip[at]:,.0f} us",
                ratio=age[at] / trip[at],
                target="2x" if (rate, name) == (1_000, "p99") else "",
                note="With both the processes come first on their cores, so that neighbours hardly show."
                f" Medians of {TURNS} turns, in each the round trips right after the ticks;"
                f" ratios of the turns: {_ratios(found, trips, at)}."
                if rate == min(RATES)
                else "",
            )
            for at, name in enumerate(("p50", "p99"))
        ]
    return [
        *figures,
        *(
            Figure(
                what=f"a tick's way from a quiet source beside one of {FLOOD:,}/s, {name}",
                value=f"{beside_at[at]:,.0f} us",
                peer=f"alone {alone_at[at]:,.0f} us",
                ratio=beside_at[at] / alone_at[at],
                target="2x" if name == "p99" else "",
            )
            for at, name in enumerate(("p50", "p99"))
        ),
    ]


def _medians(runs: list[Ages]) -> tuple[float, ...]:
    return tuple(map(statistics.median, zip(*runs, strict=True)))


def _ratios(runs: list[Ages], peers: list[Ages], at: int) -> str:
    pairs = zip(runs, peers, strict=True)
    return ", ".join(f"{ratio:.2f}" for ratio in sorted(run[at] / peer[at] for run, peer in pairs))


@asynccontextmanager
async def _opened(rate: int, count: int) -> AsyncIterator[Bench]:
    """Yield a source of that rate and a strategy that measures it; nothing of it runs yet."""
    async with rig.opened() as bench:
        config = {"symbols": ["PULSE"], "rate": rate, "count": count}
        bench.add("pulse", Kind.DATA_SOURCE, rig.PLUGINS / "pulse.py", entry="Pulse", config=config)
        bench.add("flood", Kind.DATA_SOURCE, "")
        bench.add(
            "gauge",
            Kind.STRATEGY,
            rig.PLUGINS / "gauge.py",
            entry="Gauge",
            inputs=[Input("pulse"), Input("flood")],
            config={"skip": rate * SKIP_S, "count": count},
        )
        await bench.open()
        for name, text in (
            ("flood", bench.broker.credentials("flood")),
            ("core", bench.broker.core_credentials()),
        ):
            (bench.folder / f"{name}.creds").write_bytes(text)
        bench.start("gauge")
        await bench.ready("gauge")
        gauge = bench.processes["gauge"].pid
        rig.pin(gauge, rig.MINE)
        if rate in RATES:
            rig.hurry(gauge)
            rig.hurry(bench._server.pid)
        yield bench


async def _ages(bench: Bench, count: int, *, hurries: bool = False) -> Ages:
    """Let the source tick to its end; nothing may be lost."""
    bench.start("pulse")
    if hurries:
        rig.hurry(bench.processes["pulse"].pid)

    def found() -> dict[str, float]:
        beat = bench.beat("gauge")
        return {} if beat is None else beat.indicators.get("PULSE", {})

    ages = await bench.until(found, within=rig.DEADLINE_S)
    assert bench.flows("gauge", "data")["PULSE"] == (count, 0)
    return ages["p50"], ages["p99"]


async def _quiet(bench: Bench, *, flood: bool) -> Ages:
    if not flood:
        return await _ages(bench, QUIET * QUIET_S)
    counter = bench.folder / "flood"
    rig.Counter(counter)
    order = Order(
        address=bench.broker.address(),
        credentials=str(bench.folder / "flood.creds"),
        subject=data("FLOOD"),
        counter=str(counter),
        source="flood",
        symbol="FLOOD",
        count=FLOOD * (QUIET_S + 6),
        batch=100,
        rate=FLOOD,
        window=1 << 40,
    )
    async with asyncio.TaskGroup() as tasks:
        flooding = tasks.create_task(rig.program("flood", msgspec.json.encode(order).decode()))
        await bench.until(lambda: bench.beat("gauge").received, within=rig.DEADLINE_S)
        ages = await _ages(bench, QUIET * QUIET_S)
        assert not flooding.done(), "the flood was over before the quiet source"
        flooding.cancel()
    return ages


async def _round_trips(bench: Bench) -> Ages:
    words = [bench.broker.address(), str(bench.folder / "core.creds")]
    echo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.pingpong", *words, "echo",
        cwd=rig.ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert echo.stdout is not None
        await echo.stdout.readline()
        rig.pin(echo.pid, rig.MINE)
        rig.hurry(echo.pid)
        rate = min(RATES)
        printed = await rig.program("pingpong", *words, str(rate), str(RATES[rate]), hurries=True)
    finally:
        echo.kill()
        await echo.wait()
    trips = json.loads(printed)[rate * SKIP_S :]
    return percentile(trips, 0.5), percentile(trips, 0.99)
