"""From `kill -9` of a strategy to its first new signal, with its history shown to it again."""

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ntp.contract.beat import Stage
from ntp.contract.messages import SignalMessage
from ntp.contract.names import Kind
from orchestrator.spec.model import Input
from tests.benchmarks import rig
from tests.benchmarks.figure import Figure
from tests.benchmarks.wire import Wire
from tests.integration.runner.conftest import Bench

HISTORY, RATE, TURNS = 1_000, 100, 5
Act = Callable[[str], object]
STRATEGY = """
from ntp import SignalType, StrategyPlugin, TradingSignal

class Plugin(StrategyPlugin):
    def analyze(self, data, history):
        return TradingSignal(data.symbol, SignalType.BUY, 1.0, data.price, size=float(len(history)))
"""


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    async with rig.opened() as bench:
        config = {"symbols": ["PULSE"], "rate": RATE, "count": 1_000_000}
        bench.add("pulse", Kind.DATA_SOURCE, rig.PLUGINS / "pulse.py", entry="Pulse", config=config)
        bench.add(
            "resumed", Kind.STRATEGY, STRATEGY, inputs=[Input("pulse")],
            history=HISTORY, replay=HISTORY,
        )  # fmt: skip
        await bench.open()
        core = bench.folder / "core.creds"
        core.write_bytes(bench.broker.core_credentials())
        bench.start("pulse")
        await bench.ready("pulse")
        first = await _signal_after(bench, core, "", bench.start)
        beat = bench.beat
        await bench.until(
            lambda: (b := beat("resumed")) and b.sent and b.sent[0].count > HISTORY * 1.5,
            within=rig.DEADLINE_S,
        )
        again = []
        for _ in range(TURNS):
            life = await bench.until(lambda: (b := beat("resumed")) and b.incarnation)
            again.append(await _signal_after(bench, core, life, _kill_and_start(bench)))
            await bench.until(lambda old=life: _ready_since(bench, old))
            replayed = beat("resumed").replayed
            assert replayed is not None
            assert replayed.ticks + replayed.missed >= HISTORY, (
                f"only {replayed.ticks} ticks were shown"
            )
    return [
        Figure(
            what=f"from `kill -9` of a strategy to its first new signal, {HISTORY:,} ticks of history",
            value=f"{statistics.median(again) * 1e3:,.0f} ms",
            peer=f"a first start, nothing to show {first * 1e3:,.0f} ms",
            ratio=statistics.median(again) / first,
            note=f"Median of {TURNS}, at {RATE} ticks a second, started again at once; a controller's"
            " own part is in the rows of `kill -9`.",
        )
    ]


def _kill_and_start(bench: Bench) -> Act:
    def act(name: str) -> None:
        bench.kill(name)
        bench.start_as_it_is(name)

    return act


def _ready_since(bench: Bench, life: str) -> bool:
    beat = bench.beat("resumed")
    return beat is not None and beat.incarnation != life and beat.stage is Stage.READY


async def _signal_after(bench: Bench, core: Path, life: str, act: Act) -> float:
    """Return the seconds from `act` to the first signal of another life."""
    with await asyncio.to_thread(Wire, bench.broker.address(), core) as line:
        line.subscribe("sig.resumed.PULSE")

        def wait() -> None:
            decode = msgspec.json.Decoder(SignalMessage).decode
            while decode(line.next()).incarnation == life:
                pass

        began = time.perf_counter()
        act("resumed")
        await asyncio.to_thread(wait)
        return time.perf_counter() - began
