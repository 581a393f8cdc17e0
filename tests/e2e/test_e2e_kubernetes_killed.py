"""`kubectl delete pod` in the middle of trading: of a plugin, of the broker, of the leader. The ledgers stay the same."""

import sqlite3

import pytest

from tests.integration.runner.test_runner_crash import QUERIES
from tests.worlds.release import Release

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
STRATEGIES = ("bollinger_strategy", "momentum_strategy")
SESSION = {
    "controller": {"replicas": 2},
    "plugins": {
        "data_sources": [
            {"name": "replay_data", "config": {"symbols": ["BTCUSDT", "ETHUSDT"], "speed": 2}}
        ],
        "strategies": [{"name": name} for name in STRATEGIES],
        "executors": [{"name": "paper_executor"}],
    },
}
VICTIMS = ("momentum-strategy-0", "leader", "ntp-nats-0", "paper-executor-0", "replay-data-0")
FORCED = ("ntp-nats-0", "paper-executor-0", "bollinger-strategy-0")
"""Killed at once: no SIGTERM, no farewell."""
AT_ONCE = ("--force", "--grace-period=0")
BETWEEN = 4
"""Fills: each pod goes at another moment of the session."""


def session(cluster, folder, victims):
    """Trade the recording through, with these pods deleted on the way; return what was booked."""
    with cluster.namespace() as namespace:
        release = Release(cluster, namespace, folder)
        release.install(SESSION)
        release.until_ready(4)
        for number, (victim, how) in enumerate(victims, start=1):
            release.until(lambda number=number: _fills(release) >= number * BETWEEN)
            _delete(release, victim, how)
        release.until(lambda: _is_over(release), within_s=600)
        release.keep(folder)
        kept = release.storage("paper_executor", folder / "storage")
        found = {}
        for strategy in STRATEGIES:
            ledger = sqlite3.connect(kept / f"ledger-{strategy}.sqlite")
            found |= {(strategy, table): ledger.execute(query).fetchall() for table, query in QUERIES.items()}  # fmt: skip
            ledger.close()
        return found


def _delete(release, victim, how):
    """Delete a pod in the middle of trading, and wait for another in its place."""
    name = _leader(release) if victim == "leader" else victim
    before = release.pods()[name]
    assert not _is_over(release), f"all was over before {victim} went"
    release.kubectl("delete", "pod", name, *how)
    if victim == "leader":
        # Who goes gives the lease back first, and then nobody has it.
        release.until(lambda: _leader(release) not in ("", name))
    else:
        release.until(lambda: release.pods().get(name, before) != before)


def _fills(release):
    books = release.plugins()["paper_executor"]["report"]
    return sum(book["fills"] for book in books.values())


def _leader(release):
    return release.get("lease", "ntp")["spec"]["holderIdentity"].partition("_")[0]


def _is_over(release):
    """The recording was sent whole, and nothing of it is under way any more."""
    return {each["state"] for each in release.plugins().values()} == {"Exhausted"}


def test_the_ledger_is_that_of_an_undisturbed_run(knowing, tmp_path):
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    calm = session(knowing, tmp_path / "calm", ())
    victims = [*((each, ()) for each in VICTIMS), *((each, AT_ONCE) for each in FORCED)]
    killed = session(knowing, tmp_path / "killed", victims)
    assert sum(len(rows) for (_, table), rows in calm.items() if table == "fills") > 40
    for key, rows in calm.items():
        assert killed[key] == rows, f"{key}; what was said is in {tmp_path}"
