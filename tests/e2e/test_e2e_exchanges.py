"""The user's plugins.yaml applied unchanged, and each fault of an exchange as a trader reads it in `status`."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.worlds.local_exchange import exchange

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the full sandbox needs root here"),
    pytest.mark.timeout(240),
]

USERS_FILE = Path(__file__).parents[2] / "config" / "examples" / "exchanges.yaml"
SOURCES = {"binance_data": "stream.binance.com:9443", "polygon_data": "socket.polygon.io:443"}
STRATEGIES = {"bollinger_strategy", "momentum_strategy"}


@pytest.fixture
def users(project):
    shutil.copy(USERS_FILE, project.folder / "plugins.yaml")
    project.environment.pop("POLYGON_API_KEY", None)
    return project


def waits(row) -> float:
    return row["report"].get("next_wait_s", 0.0)


@pytest.mark.long
def test_exchanges_that_cannot_be_reached_are_told_in_words_while_all_else_runs(users):
    """Here nothing outside can be reached; where it can, there is nothing to be seen of that."""
    users.environment["POLYGON_API_KEY"] = "not-to-be-seen"
    users.ntpctl("apply")
    words = "allowed by the door, connect failed: "
    seen = users.until(
        lambda status: all(
            words in status[name]["message"] and waits(status[name]) > 1 for name in SOURCES
        )
    )
    for name, place in SOURCES.items():
        assert (seen[name]["state"], seen[name]["restarts"]) == ("Running", 0)
        assert seen[name]["message"].startswith(f"ConnectFailed: {place}: {words}")
        assert (seen[name]["egress"], seen[name]["egress_refused"]) == ([place], {})
        told = users.ntpctl("status", name).stdout
        assert f"{place}: {words}" in told
        assert re.search(r"next_wait_s: \d", told)
    longer = users.until(
        lambda status: all(waits(status[name]) > waits(seen[name]) for name in SOURCES)
    )
    assert all(longer[name]["ready"] and longer[name]["restarts"] == 0 for name in STRATEGIES)
    everything = users.ntpctl("status", "-o", "json").stdout + users.ntpctl("events").stdout
    assert "not-to-be-seen" not in everything


def test_a_missing_key_is_one_error_at_its_line_and_all_else_is_applied(users):
    line = next(
        number
        for number, text in enumerate(USERS_FILE.read_text().splitlines(), 1)
        if "POLYGON_API_KEY" in text
    )
    error = re.compile(
        rf"plugins\.yaml:{line}:\d+: the variable POLYGON_API_KEY is not set\n"
        r"  fix: put POLYGON_API_KEY=… into \.env"
    )
    planned = users.ntpctl("plan", exit_code=6)
    assert re.search(r"^! refuse +polygon_data +SecretMissing$", planned.stdout, re.MULTILINE)
    assert len(error.findall(planned.stderr)) == 1
    applied = users.ntpctl("apply", "--no-wait")
    assert len(error.findall(applied.stderr)) == 1
    seen = users.until(
        lambda status: (
            status["polygon_data"]["state"] == "SecretMissing"
            and all(status[name]["ready"] for name in {"binance_data", *STRATEGIES})
        )
    )
    assert error.match(seen["polygon_data"]["message"])
    (users.folder / ".env").write_text("POLYGON_API_KEY=k\n")
    users.ntpctl("apply")


FILE = """
plugins:
  data_sources:
    - name: binance_data
      config: {{stream_url: "ws://{at}/ws", symbols: [BTCUSDT, ETHUSDT], {quick}}}
    - name: polygon_data
      config: {{stream_url: "ws://{at}/stocks", api_key: "${{POLYGON_API_KEY}}", symbols: [SPY, AAPL], {quick}}}
  strategies:
    - name: bollinger_strategy
"""
QUICK = "stale_seconds: 2, reconnect_first_seconds: 0.2, reconnect_longest_seconds: 1"
BOTH, BINANCE, POLYGON = ("binance_data", "polygon_data"), ("binance_data",), ("polygon_data",)
FAULTS = {
    # Fault: who meets it, and what `status NAME` says of it. A standing one has to be met anew: close.
    "stall": (BOTH, r"last_end: no data for 2 s"),
    "close=1000": (BOTH, r"last_end: closed by the exchange: 1000"),
    "close=1001": (BOTH, r"last_end: closed by the exchange: 1001"),
    "close=1006": (BOTH, r"last_end: the connection was lost"),
    "close=1008": (BOTH, r"last_end: closed by the exchange: 1008"),
    "duplicate=0.5": (BOTH, r"duplicates: \w+ \d+"),
    "reorder=0.5": (BOTH, r"late: \w+ \d+"),
    "half-json": (BOTH, r"last_unread: .*truncated"),
    "half-frame": (BOTH, r"last_end: the connection was lost"),
    "clock-skew=5s": (BOTH, r"ClockAhead: its ticks are dated \d\.\d s ahead of this machine's clock"),
    "server-shutdown": (BINANCE, r"last_end: the exchange announced serverShutdown"),
    "session-end": (BINANCE, r"last_end: closed by the exchange: 1001 Disconnected after 24 hours"),
    "slow-consumer": (POLYGON, r"last_end: slow_consumer: The client read too slowly"),
    "force-disconnect": (POLYGON, r"last_end: force_disconnect: "),
    "max-connections&close=1006": (POLYGON, r"Disconnected: .*max_connections: Maximum number"),
    "auth-timeout&close=1006": (POLYGON, r"Disconnected: .*auth_timeout: No authentication request"),
    "not-authorized&close=1006": (POLYGON, r"SubscribeRefused:? the exchange said: not authorized"),
    "auth-failed&close=1006": (POLYGON, r"AuthFailed: Polygon refused the api_key: .*; fix: check the key"),
}  # fmt: skip
UNTOLD = {
    "burst": "nothing is wrong: all of it arrives, which the counts say",
    "gap": "of depth updates, which neither source asks for",
}


@pytest.fixture(scope="module")
def at_exchange(project_in, tmp_path_factory):
    """One project for all faults, at one exchange; they come one after the other."""
    made = project_in(tmp_path_factory.mktemp("faults"))
    with exchange("--loop") as running:
        made.environment["POLYGON_API_KEY"] = "k"
        made.declare(FILE.format(at=running.at, quick=QUICK))
        try:
            made.ntpctl("apply")
            yield made, running
        finally:
            made.ntpctl("down", "--delete-data", "--yes", exit_code=None)


@pytest.fixture
def calm(at_exchange):
    """As `at_exchange`, with no fault standing and data coming from both."""
    project, running = at_exchange
    running.fault(method="DELETE")
    if not project.status()["polygon_data"]["ready"]:
        project.ntpctl("start", "polygon_data")
    project.until(lambda status: all(flows(status[name]) for name in BOTH))
    return project, running


def flows(row) -> bool:
    told = {each["type"] for each in row["conditions"]}
    wrong = told & {"Disconnected", "FeedStale", "ConnectFailed", "ClockAhead", "SubscribeRefused"}
    return row["ready"] and row["report"].get("connected", False) and not wrong


def counted(row):
    """What a fault moves: the words of an earlier one may still stand there."""
    kept = ("connections", "failures", "duplicates", "late", "unread_frames")
    types = {each["type"] for each in row["conditions"]}
    return row["state"], types, {name: row["report"].get(name) for name in kept}


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_in_words(calm, fault):
    project, running = calm
    names, words = FAULTS[fault]
    # Trouble of the fault before may still be told first; then ours is among the conditions.
    words = words.replace(": ", "(: | )", 1)
    before = {name: counted(row) for name, row in project.status().items()}
    running.fault(fault)
    ends = time.monotonic() + 30
    missing = set(names)
    while missing:
        now = project.status()
        for name in sorted(missing):
            said = project.ntpctl("status", name).stdout
            if counted(now[name]) != before[name] and re.search(words, said):
                missing.discard(name)
            assert time.monotonic() < ends, f"{name}: {words}\n{said}"
    assert now["bollinger_strategy"]["ready"]


@pytest.mark.long
@pytest.mark.parametrize("fault", UNTOLD)
def test_what_is_no_trouble_is_not_told_as_one(calm, fault):
    project, running = calm
    before = project.status()["binance_data"]
    running.fault(fault)
    seen = project.until(
        lambda status: status["binance_data"]["flow"]["sent"] > before["flow"]["sent"] + 20
    )
    after = seen["binance_data"]
    assert after["report"]["connections"] == before["report"]["connections"]
    assert after["report"]["missed"] == before["report"]["missed"]
    assert seen["bollinger_strategy"]["flow"]["lost"] == 0


def test_every_fault_of_the_exchange_is_among_these():
    listed = subprocess.run(
        [sys.executable, "-m", "ntp.cli", "exchange", "--list-faults"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    names = {re.split(r"[= ]", line)[0] for line in listed.splitlines() if line}
    assert {re.split("[=&]", fault)[0] for fault in FAULTS} | set(UNTOLD) == names
