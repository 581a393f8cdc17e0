"""Whenever the executor is killed, its ledger ends up row by row as if it never had been."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from paper_executor import PaperExecutor
from paper_ledger import micros
from paper_world import apply, events, opened

from ntp.contract.messages import MarketData

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
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 1000), data=st.data())
async def test_whatever_is_delivered_again_has_one_effect(
    tmp_path_factory: pytest.TempPathFactory, seed: int, data: st.DataObject
):
    """Events come again from any point that the ledger had not passed, and the process may end at any."""
    world = list(events(seed, count=80))
    plain, crashed = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("crashed")
    executor = await opened(plain)
    for event in world:
        await apply(executor, event)
    await executor.shutdown()

    executor = await opened(crashed)
    at = durable = 0
    restarts = data.draw(st.integers(1, 4))
    while at < len(world):
        changes = _changes(executor)
        await apply(executor, world[at])
        at += 1
        if _changes(executor) != changes:
            durable = at
        if restarts and data.draw(st.integers(0, 20)) == 0:
            restarts -= 1
            await executor.shutdown()
            executor = await opened(crashed)
            at = data.draw(st.integers(0, durable))
    await executor.shutdown()
    assert rows(crashed) == rows(plain)


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
