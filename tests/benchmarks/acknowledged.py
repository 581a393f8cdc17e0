"""Signals that the broker has stored and synced, by the second: several under way, or one at a time."""

import asyncio
import time

from ntp.connection import Link, connect
from ntp.contract import subjects
from ntp.contract.launch import CREDENTIALS_FILE, BusAddress
from ntp.contract.names import Kind
from tests.benchmarks import rig
from tests.benchmarks.figure import Figure

TURNS = 3
PIPELINED, SINGLE = 3_000, 200
"""Signals of one turn."""
PAYLOAD = b"x" * 400


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    async with rig.opened() as bench:
        bench.add("strategy", Kind.STRATEGY, "")
        await bench.open()
        folder = bench.place("strategy")
        folder.mkdir(parents=True)
        (folder / CREDENTIALS_FILE).write_bytes(bench.broker.credentials("strategy"))
        bus = BusAddress([f"nats://{bench.broker.address()}"])
        pipelined, single = [], []
        async with connect(folder, bus, plain=True, name="strategy") as link:
            for turn in range(TURNS):
                single.append(await _single(link, turn))
                pipelined.append(await _pipelined(link, turn))
    return [
        Figure(
            what="signals stored and synced a second, as they are sent",
            value=f"{max(pipelined):,.0f}/s",
            peer=f"one at a time {max(single):,.0f}/s",
            ratio=max(pipelined) / max(single),
            note="`sync_interval: always`; 256 may be under way, in order. By the clock.",
        )
    ]


async def _pipelined(link: Link, turn: int) -> float:
    began = time.perf_counter()
    for number in range(PIPELINED):
        await link.submit(subjects.signal("S"), PAYLOAD, f"many:{turn}:{number}")
    await link.settle()
    return PIPELINED / (time.perf_counter() - began)


async def _single(link: Link, turn: int) -> float:
    began = time.perf_counter()
    for number in range(SINGLE):
        await link.request_ack(subjects.signal("S"), PAYLOAD, f"one:{turn}:{number}")
    return SINGLE / (time.perf_counter() - began)
