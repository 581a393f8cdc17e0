"""`kubectl delete pod` in the middle of trading: of a plugin, of the broker, of the leader. The ledgers stay the same."""

import sqlite3
import time

import pytest

from tests.integration.runner.test_runner_crash import QUERIES
from tests.worlds.release import Release

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
STRATEGIES = ("bollinger_strategy", "momentum_strategy")
SESSION = {
    "controller": {"replicas": 2},
    "plugins": {
        "data_sources": [
            {"name": "replay_data", "config": {"symbols": ["BTCUSDT", "ETHUSDT"], "speed": 12}}
        ],
        "strategies": [{"name": name} for name in STRATEGIES],
        "executors": [{"name": "paper_executor"}],
    },
}
QUIET_S = 10.0
VICTIMS = ("momentum-strategy-0", "leader", "ntp-nats-0", "paper-executor-0", "replay-data-0")


def session(cluster, folder, victims):
    """Trade the recording through, with these pods deleted on the way; return what was booked."""
    with cluster.namespace() as namespace:
        release = Release(cluster, namespace, folder)
        release.install(SESSION)
        release.until_ready(4)
        for number, victim in enumerate(victims, start=1):
            # Each at another moment of the session.
            release.until(lambda number=number: _fills(release) >= number * 4)
            name = _leader(release) if victim == "leader" else victim
            before = release.pods()[name]
            release.kubectl("delete", "pod", name)
            if victim != "leader":
                release.until(lambda name=name, before=before: release.pods().get(name, before) != before)  # fmt: skip
        release.until(lambda: _is_over(release))
        kept = release.storage("paper_executor", folder / "storage")
        found = {}
        for strategy in STRATEGIES:
            ledger = sqlite3.connect(kept / f"ledger-{strategy}.sqlite")
            found |= {(strategy, table): ledger.execute(query).fetchall() for table, query in QUERIES.items()}  # fmt: skip
            ledger.close()
        return found


def _books(release):
    return release.plugins()["paper_executor"]["report"]


def _fills(release):
    return sum(book["fills"] for book in _books(release).values())


def _leader(release):
    return release.get("lease", "ntp")["spec"]["holderIdentity"].partition("_")[0]


def _is_over(release):
    """The recording was sent whole, and nothing of it is under way any more: twice the same is seen, after a while."""
    before, known = _flows(release), time.monotonic()
    release.until(lambda: time.monotonic() - known > QUIET_S)
    return _flows(release) == before


def _flows(release):
    found = release.plugins()
    return [found[name]["flow"]["received"] for name in STRATEGIES], _books(release)


def test_the_ledger_is_that_of_an_undisturbed_run(knowing, tmp_path):
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    calm = session(knowing, tmp_path / "calm", ())
    killed = session(knowing, tmp_path / "killed", VICTIMS)
    assert sum(len(rows) for (_, table), rows in calm.items() if table == "fills") > 40
    for key, rows in calm.items():
        assert killed[key] == rows, key
