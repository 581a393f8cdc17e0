"""The bundled plugins as processes on a real broker: their ledgers are those that the tester makes."""

import asyncio
import sqlite3
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ntp import PluginTester
from ntp.contract.launch import Trading
from ntp.contract.names import Kind
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from tests.integration.runner.conftest import Bench, bench  # noqa: F401 - a fixture

PLUGINS = Path(__file__).parents[2] / "plugin-images"
CLASSES = {
    "replay_data": (Kind.DATA_SOURCE, "ReplayData"),
    "rsi_indicator": (Kind.INDICATOR, "RsiIndicator"),
    "bollinger_strategy": (Kind.STRATEGY, "BollingerStrategy"),
    "momentum_strategy": (Kind.STRATEGY, "MomentumStrategy"),
    "paper_executor": (Kind.EXECUTOR, "PaperExecutor"),
}
STRATEGIES = ("bollinger_strategy", "momentum_strategy")
LISTENERS = ("paper_executor", *STRATEGIES, "rsi_indicator")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch):
    for name in CLASSES:
        monkeypatch.syspath_prepend(str(PLUGINS / name.replace("_", "-")))


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    folder = tmp_path / "storage"
    folder.mkdir()
    return folder


async def open_all(
    bench: Bench,  # noqa: F811
    storage: Path,
    *,
    wait_s: float = 1.0,
    **replay: Any,
) -> None:
    for name, (kind, entry) in CLASSES.items():
        code = PLUGINS / name.replace("_", "-") / f"{name}.py"
        more = {"storage": str(storage)} if kind is Kind.EXECUTOR else {"indicator_wait_s": wait_s}
        config = replay if kind is Kind.DATA_SOURCE else {}
        bench.add(name, kind, code, entry=entry, config=config, **more)
    await bench.open()
    bench.start(*LISTENERS)
    await bench.ready(*LISTENERS)
    bench.start("replay_data")


async def close_all(bench: Bench) -> None:  # noqa: F811
    await bench.exhausted("replay_data", *LISTENERS, within=90)
    for name in CLASSES:
        assert await bench.stop(name) == 0, bench.log(name)


def rows(storage: Path, strategy: str, query: str) -> list[tuple]:
    connection = sqlite3.connect(storage / f"ledger-{strategy}.sqlite")
    try:
        return list(connection.execute(query))
    finally:
        connection.close()


def made(name: str) -> Any:
    """Return an object of a bundled plugin."""
    return getattr(import_module(name), CLASSES[name][1])({})


async def fills_of_the_tester(strategy: str) -> list[tuple]:
    ticks = [tick async for tick in made("replay_data").stream()]
    tester = PluginTester(
        made(strategy),
        indicators={"rsi_indicator": made("rsi_indicator")},
        executor=made("paper_executor"),
    )
    result = await tester.run_async(ticks)
    return [(f.tick_id, f.side, str(f.quantity), str(f.price)) for f in result.fills]


async def test_the_ledgers_are_those_that_the_tester_makes(bench, storage):  # noqa: F811
    await open_all(bench, storage)
    await close_all(bench)
    for strategy in STRATEGIES:
        found = rows(storage, strategy, "SELECT tick_id, side, quantity, price FROM fills")
        assert sorted(found) == sorted(await fills_of_the_tester(strategy))
        assert len(found) > 90


async def test_a_killed_executor_takes_every_signal_once_and_its_ledger_balances(
    bench,  # noqa: F811
    storage,
):
    await open_all(bench, storage, speed=60)

    def fills() -> int:
        beat = bench.beat("paper_executor")
        return beat.report.get("bollinger_strategy", {}).get("fills", 0) if beat else 0

    for some in (10, 30):
        await bench.until(lambda least=some: fills() >= least)
        bench.kill("paper_executor")
        await asyncio.to_thread(bench.start, "paper_executor")
    await bench.exhausted("replay_data", *LISTENERS, within=90)
    sent = {
        name: sum(count for count, _ in bench.flows(name, "signal", sent=True).values())
        for name in STRATEGIES
    }
    await close_all(bench)
    for strategy, count in sent.items():
        taken = rows(storage, strategy, "SELECT id FROM signals")
        assert len(taken) == len(set(taken)) == count > 50
        desk = Desk("paper_executor", strategy, Trading(), Costs())
        # Opening recomputes every total from the fills, and refuses a ledger that contradicts them.
        opened = import_module("paper_restore").open_ledger(
            storage / f"ledger-{strategy}.sqlite", desk
        )
        assert opened.counts["fills"] > 30
        opened.close()
