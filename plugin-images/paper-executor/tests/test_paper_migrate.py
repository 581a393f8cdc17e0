"""A ledger of format 1, as the executor of 1.0.0 left it behind, goes on as if it had been of this one."""

import shutil
import sqlite3
from itertools import islice
from pathlib import Path

from paper_world import apply, events, opened

LEFT = Path(__file__).with_name("ledger-v1.sqlite")
"""Made by that release of the first 95 events of seed 7: an open position, a waiting order."""
DONE = 95


def rows(storage: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(storage / "ledger-st.sqlite")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


async def test_a_ledger_of_the_first_format_goes_on_to_the_same_figures(tmp_path: Path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    shutil.copy(LEFT, old / "ledger-st.sqlite")
    executor = await opened(old)
    report = executor.report()
    assert (report["cash"], report["equity"]) == ("9625.43736647", "9964.84965647")
    assert (report["fills"], report["waiting"]) == (27, 1)
    for event in islice(events(7), DONE, None):
        await apply(executor, event)
    await executor.shutdown()
    executor = await opened(new)
    for event in events(7):
        await apply(executor, event)
    await executor.shutdown()
    for table in ("signals", "orders", "fills", "positions", "seen", "equity", "capital", "about"):
        assert rows(old, f"SELECT * FROM {table}") == rows(new, f"SELECT * FROM {table}"), table  # noqa: S608
    account = "SELECT cash, realised, fees, peak, max_drawdown, sampled, day_ends FROM account"
    assert rows(old, account) == rows(new, account)
    shape = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
    assert rows(old, shape) == rows(new, shape)


async def test_a_migrated_ledger_is_opened_again_as_one_of_this_format(tmp_path: Path):
    shutil.copy(LEFT, tmp_path / "ledger-st.sqlite")
    assert rows(tmp_path, "SELECT value FROM about WHERE key = 'schema'") == [("1",)]
    for _ in range(2):
        executor = await opened(tmp_path)
        report = executor.report()
        await executor.shutdown()
        assert (report["orders"], report["waiting"]) == (22, 1)
    assert rows(tmp_path, "SELECT value FROM about WHERE key = 'schema'") == [("3",)]
    states = "SELECT state, filled = quantity, count(*) FROM orders GROUP BY 1, 2"
    assert rows(tmp_path, states) == [("filled", 1, 21), ("waiting", 0, 1)]
