"""Whenever the executor is killed, its ledger ends up row by row as if it never had been."""

import random
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from paper_executor import PaperExecutor
from paper_rows import micros
from paper_world import TRADING, apply, events, opened

from ntp.contract.launch import Trading
from ntp.contract.messages import MarketData, TradingSignal

TABLES = (
    "signals",
    "orders",
    "fills",
    "positions",
    "account",
    "capital",
    "seen",
    "equity",
    "about",
)
SLOW = {"latency_s": 0.8, "volume_share": 0.05}
LIMITED = Trading(
    capital="10000",
    short=True,
    pyramid=2,
    risk={"max_position": "3000", "max_daily_loss": "0.2%", "max_orders_per_minute": 8},
)
CHILD = Path(__file__).with_name("paper_child.py")


def rows(storage: Path) -> dict[str, list[tuple]]:
    connection = sqlite3.connect(storage / "ledger-st.sqlite")
    try:
        return {name: list(connection.execute(f"SELECT * FROM {name}")) for name in TABLES}  # noqa: S608
    finally:
        connection.close()


def execute(storage: Path, seed: int, *, killed_after: int | None) -> bool:
    """Run the child; return whether it was killed before its end."""
    command = [sys.executable, str(CHILD), str(storage), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout is not None
        left = killed_after
        while left is None or left > 0:
            done = child.stdout.read(1 if left is not None else 65536)
            if not done:
                break
            left = None if left is None else left - len(done)
        else:
            child.kill()
        code = child.wait(timeout=60)
    assert code in {0, -9}
    return code == -9


def undisturbed(folder: Path, seed: int) -> dict[str, list[tuple]]:
    folder.mkdir()
    assert not execute(folder, seed, killed_after=None)
    return rows(folder)


def campaign(tmp_path: Path, seed: int, kills: int) -> None:
    expected = undisturbed(tmp_path / "undisturbed", seed)
    assert len(expected["fills"]) > 30
    events_in_all = sum(1 for _ in events(seed))
    rng = random.Random(seed)  # noqa: S311 - repeatable kills
    storage = tmp_path / "killed"
    storage.mkdir()
    killed = sum(
        execute(storage, seed, killed_after=rng.randrange(1, events_in_all)) for _ in range(kills)
    )
    assert killed > kills / 2
    assert not execute(storage, seed, killed_after=None)
    assert rows(storage) == expected


def test_a_killed_process_leaves_the_ledger_of_an_undisturbed_one(tmp_path: Path):
    campaign(tmp_path, seed=1, kills=5)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(2, 10))
def test_a_campaign_of_kills(tmp_path: Path, seed: int):
    campaign(tmp_path, seed, kills=40)


# An example takes about a second, so a failing one is shown as it is.
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    seed=st.integers(0, 1000),
    world=st.sampled_from([(TRADING, {}), (LIMITED, SLOW), (TRADING, SLOW)]),
    data=st.data(),
)
async def test_whatever_is_delivered_again_has_one_effect(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    world: tuple[Trading, dict],
    data: st.DataObject,
):
    """Events come again from any point that the ledger had not passed, and the process may end at any.

    A day ends on the way; a halt does not come again, it stands in the launch file.
    """
    trading, config = world
    played = [_late(event) for event in events(seed, count=80)]
    for at, halt in HALTS.items():
        played.insert(at, halt)
    plain, crashed = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("crashed")
    executor = await opened(plain, trading, **config)
    for event in played:
        await _play(executor, event)
    await executor.shutdown()

    executor = await opened(crashed, trading, **config)
    at = durable = passed = 0
    restarts = data.draw(st.integers(1, 4))
    while at < len(played):
        changes = _changes(executor)
        if at >= passed or isinstance(played[at], MarketData | TradingSignal):
            await _play(executor, played[at])
        at += 1
        passed = max(passed, at)
        if _changes(executor) != changes:
            durable = at
        if restarts and data.draw(st.integers(0, 20)) == 0:
            restarts -= 1
            await executor.shutdown()
            executor = await opened(crashed, trading, **config)
            halts = [each for each in played[:passed] if isinstance(each, Halt)]
            if halts:
                await _play(executor, halts[-1])
            at = data.draw(st.integers(0, durable))
    await executor.shutdown()
    assert rows(crashed) == rows(plain)


class Halt(NamedTuple):
    """`flatten` None: resumed."""

    flatten: bool | None


HALTS = {40: Halt(None), 25: Halt(True), 15: Halt(None), 5: Halt(False)}
"""Where in the world; the last one first, so that no place is moved."""


async def _play(executor: PaperExecutor, event: MarketData | TradingSignal | Halt) -> None:
    match event:
        case Halt(flatten=None):
            await executor.on_resume("st")
        case Halt(flatten=bool(flatten)):
            await executor.on_halt("st", "halted by hand", flatten=flatten)
        case _:
            await apply(executor, event)


def _late(event: MarketData | TradingSignal) -> MarketData | TradingSignal:
    """Return it so much later that a day ends within the first events."""
    later = timedelta(days=1, seconds=-15)
    if isinstance(event, MarketData):
        return replace(event, timestamp=event.timestamp + later)
    return replace(event, metadata={**event.metadata, "time": event.metadata["time"] + later})


def _changes(executor: PaperExecutor) -> int:
    assert executor._ledger is not None
    return executor._ledger._sql.total_changes


async def test_the_worlds_of_these_tests_are_full_of_traps():
    """Equal times, several signals a tick, stops, profits, turns: else the tests above prove little."""
    world = [event for seed in range(5) for event in events(seed)]
    ticks = [event for event in world if isinstance(event, MarketData)]
    times = [(tick.symbol, micros(tick.timestamp)) for tick in ticks]
    assert len(set(times)) < len(times)
    executor = await opened(None)
    reasons = set()
    for event in events(seed=3):
        reasons |= {fill.rpartition(":")[2] for fill in await apply(executor, event)}
    await executor.shutdown()
    assert reasons == {"signal", "stop_loss", "take_profit"}
    ends, outcomes, states = set(), set(), set()
    for seed in (3, 4):
        executor = await opened(None, LIMITED, **SLOW)
        for event in events(seed):
            ends |= {fill.rpartition(":")[2] for fill in await apply(executor, event)}
        sql = executor._ledger._sql
        outcomes |= {row[0] for row in sql.execute("SELECT outcome FROM signals")}
        states |= {row[0] for row in sql.execute("SELECT state FROM orders")}
        await executor.shutdown()
    assert {"signal", "2", "3"} <= ends, "an order takes several ticks"
    assert states >= {"filled", "cancelled"}
    for limit in LIMITED.risk:
        assert any(limit in outcome for outcome in outcomes), limit
