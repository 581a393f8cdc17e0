"""Whatever is killed, and whenever: the ledgers are those of an undisturbed run, row by row.

`make crash N=1000 SEED=1` is the campaign: so many kills with -9, of a plugin, of the broker or of all of
them at once, and power cuts, at random moments of a recorded session. `make test` runs thirty of them.
"""

import asyncio
import os
import random
import sqlite3
from pathlib import Path

import pytest

from tests.integration.runner.conftest import Bench, heard
from tests.integration.test_bundled_plugins import (
    LISTENERS,
    STRATEGIES,
    close_all,
    importable,  # noqa: F401 - a fixture
    open_all,
)
from tests.worlds.disk import Disk, can_mount

KILLS = int(os.environ.get("CRASH_N", "30"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
A_SESSION = 10
"""Kills in one session."""
SPEED = 60
LAST_S = 16.0
"""The recording lasts so long at this speed."""
WAIT_S = 60.0
SOURCE = "replay_data"
BROKER, ALL, POWER = "broker", "all of them", "power"
VICTIMS = (SOURCE, *LISTENERS, BROKER, ALL, *((POWER,) if can_mount() else ()))
# What depends on its own symbol alone. How ticks of two symbols lie between each other differs from run to
# run, and with it the points of the equity curve and the drawdown.
QUERIES = {
    "signals": "SELECT id, time, symbol, type, size, price, outcome FROM signals ORDER BY id",
    "orders": "SELECT signal_id, reason, side, quantity, layers, time, filled, state FROM orders"
    " ORDER BY signal_id",
    "fills": "SELECT id, signal_id, symbol, side, quantity, price, fee, realised, reason, time, tick_id"
    " FROM fills ORDER BY id",
    "positions": "SELECT * FROM positions ORDER BY symbol",
    "account": "SELECT cash, realised, fees FROM account",
}

Ledgers = dict[tuple[str, str], list[tuple]]


def ledgers(storage: Path) -> Ledgers:
    found: Ledgers = {}
    for strategy in STRATEGIES:
        connection = sqlite3.connect(storage / f"ledger-{strategy}.sqlite")
        try:
            for table, query in QUERIES.items():
                found[strategy, table] = list(connection.execute(query))
        finally:
            connection.close()
    return found


class Session:
    """One playing of the recording."""

    def __init__(self, folder: Path) -> None:
        self._disk = Disk(folder) if POWER in VICTIMS else None
        kept = self._disk.place if self._disk else folder
        self._storage = kept / "storage"
        self._storage.mkdir()
        self._bench = Bench(folder, kept)
        self._killed: dict[str, str] = {}
        """By plugin, the newest life of which we know that it was killed."""

    async def played(self, plan: list[tuple[float, str]]) -> Ledgers:
        """Play it, and return the ledgers. `plan`: when to kill whom, seconds after it began."""
        bench = self._bench
        try:
            async with heard(bench):
                # A tick waits for the value of an indicator that is down, as long as it takes.
                await open_all(bench, self._storage, wait_s=WAIT_S, speed=SPEED)
                began = asyncio.get_running_loop().time()
                for moment, victim in plan:
                    # A random moment is what is wanted: nothing is waited for here.
                    now = asyncio.get_running_loop().time()
                    await asyncio.sleep(max(0.0, began + moment - now))
                    await self._kill(victim)
                for name, life in self._killed.items():
                    # The last beat that was heard may be of a life that was killed.
                    await bench.until(
                        lambda n=name, was=life: bench.beat(n).incarnation != was, within=60
                    )
                await bench.exhausted(SOURCE, *LISTENERS, within=180)
                await close_all(bench)
            return ledgers(self._storage)
        finally:
            if self._disk:
                self._disk.close()

    async def _kill(self, victim: str) -> None:
        bench = self._bench
        if victim == BROKER:
            bench.kill_broker()
            await bench.open()
            return
        gone = (*LISTENERS, SOURCE) if victim in {ALL, POWER} else (victim,)
        if victim == POWER:
            bench.freeze()
            self._disk.cut()
        if victim in {ALL, POWER}:
            bench.kill_broker()
        self._killed |= {name: beat.incarnation for name in gone if (beat := bench.beat(name))}
        for name in gone:
            bench.kill(name)
        if victim == POWER:
            self._disk.restore()
        if victim in {ALL, POWER}:
            await bench.open()
        await asyncio.to_thread(bench.start, *gone)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Ledgers:
    return asyncio.run(Session(tmp_path_factory.mktemp("undisturbed")).played([]))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", range((KILLS + A_SESSION - 1) // A_SESSION))
async def test_the_ledgers_are_those_of_an_undisturbed_run(number, undisturbed, tmp_path):
    rng = random.Random(f"{SEED}/{number}")
    moments = sorted(rng.uniform(0.2, LAST_S) for _ in range(A_SESSION))
    plan = [(moment, rng.choice(VICTIMS)) for moment in moments]
    found = await Session(tmp_path).played(plan)
    for name, rows in undisturbed.items():
        assert found[name] == rows, (name, plan)
    assert len(found["bollinger_strategy", "fills"]) > 90
