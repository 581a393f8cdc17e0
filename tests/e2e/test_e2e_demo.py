"""The main job, as `make demo` runs it: undisturbed, and with controller and broker killed meanwhile."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.worlds.demo import PLAYED, Demo

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def start(cache):
    # A short folder: what lies in it has Unix sockets, and pytest's own folders are deep.
    with tempfile.TemporaryDirectory() as folder:
        yield lambda *arguments: Demo(cache, Path(folder), *arguments)


def test_the_demo_adds_up_and_leaves_nothing_but_its_page(start, tmp_path):
    file = tmp_path / "run.html"
    demo = start("-o", "json", "--speed", "10", "--page", str(file))
    code, out = demo.end()

    assert code == 0, "".join(demo.said)
    told = json.loads(out)
    assert told["failures"] == []
    assert {edge["channel"] for edge in told["edges"]} == {"data", "indicator", "signal", "fill"}
    for edge in told["edges"]:
        assert edge["sent"] == edge["received"]
        assert edge["lost"] == 0
        assert edge["note"] == ("synthetic" if edge["symbol"] in ("AAPL", "GOOGL") else "")
    # Every trade of the recording, from the exchange on: the same in each run.
    assert {
        edge["symbol"]: edge["sent"] for edge in told["edges"] if edge["producer"] == "exchange"
    } == PLAYED
    for book in told["books"]:
        assert book["fills"] > 0
        assert float(book["fees"]) > 0
    assert list(demo.tmp.iterdir()) == []
    assert demo.pids(str(demo.tmp)) == []

    assert told["page"] == str(file)
    page = file.read_text()
    assert "heard only" not in page
    assert f"<dd>{sum(PLAYED.values()):,}<small>4 symbols" in page
    for book in told["books"]:
        # What the page adds up from fills and prices is what the executor's book says.
        assert f'<td class="number">{float(book["equity"]):,.2f}</td>' in page
        assert f'<td class="number">{float(book["fees"]):,.2f}</td>' in page


@pytest.mark.long
def test_a_controller_killed_meanwhile_changes_no_figure(start):
    first = start("-o", "json")
    _, undisturbed = first.end()
    demo = start("-o", "json")
    demo.until("ticks sent")
    for pid in demo.pids("orchestrator\0serve"):
        os.kill(pid, signal.SIGKILL)
    code, out = demo.end()

    assert code == 0, "".join(demo.said)
    assert json.loads(out) == json.loads(undisturbed)


def test_a_broker_killed_meanwhile_loses_nothing_in_silence(start):
    demo = start("-o", "json")
    demo.until("ticks sent")
    [broker] = demo.pids("nats-server\0-c") or demo.pids("nats-server")[:1]
    os.kill(broker, signal.SIGKILL)
    code, out = demo.end()

    if code == 0:
        assert json.loads(out)["failures"] == []
        return
    # Ticks that were under way are gone: then each edge says exactly how many.
    assert code == 5, "".join(demo.said)
    for edge in json.loads(out)["edges"]:
        if edge["channel"] == "indicator":
            # A tick that the indicator never saw has no value; a value that never came is late.
            assert edge["sent"] <= edge["received"] + edge["lost"] + edge["late"], edge
        else:
            assert edge["sent"] == edge["received"] + edge["lost"], edge


def test_trades_that_a_source_never_got_are_told_as_lost(start):
    demo = start("-o", "json", "--speed", "10")
    demo.until("the exchange plays")
    demo.exchange("/fault?close=1006@0s")  # whoever comes back is cut again
    demo.exchange("/fault?close=1006")
    code, out = demo.end()

    assert code == 5, "".join(demo.said)
    told = json.loads(out)
    first = [edge for edge in told["edges"] if edge["producer"] == "exchange"]
    assert {edge["symbol"]: edge["sent"] for edge in first} == PLAYED
    for edge in first:
        assert edge["sent"] == edge["received"] + edge["lost"]
    assert sum(edge["lost"] for edge in first) > 0
    assert any(words.startswith("exchange -> ") for words in told["failures"])
    assert list(demo.tmp.iterdir()) == []


def test_a_demo_that_is_killed_takes_its_exchange_along(start):
    demo = start()
    demo.until("ready")
    [exchange] = demo.pids("exchange\0--port")
    demo.process.kill()
    demo.end()

    ends = time.monotonic() + 30
    while Path(f"/proc/{exchange}").exists():
        assert time.monotonic() < ends
        time.sleep(0.05)
    # What it ran goes on, as ever; its folder says how to end it.
    [folder] = demo.tmp.glob("ntp-demo-*")
    down = [
        sys.executable,
        "-m",
        "orchestrator",
        "down",
        "--project",
        "demo",
        "--delete-data",
        "--yes",
    ]
    done = subprocess.run(
        down,
        env={**os.environ, "NTP_STATE": str(folder / "state")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert demo.pids(str(demo.tmp)) == []


def test_an_exchange_that_dies_meanwhile_ends_the_demo_cleanly(start):
    demo = start()
    demo.until("ticks sent")
    [exchange] = demo.pids("exchange\0--port")
    os.kill(exchange, signal.SIGKILL)
    code, _ = demo.end()

    assert code == 3
    assert "the local exchange does not answer" in demo.said[-1]
    assert "Traceback" not in "".join(demo.said)
    assert list(demo.tmp.iterdir()) == []
    assert demo.pids(str(demo.tmp)) == []


def test_ctrl_c_cleans_up(start):
    demo = start()
    demo.until("ready")
    demo.process.send_signal(signal.SIGINT)
    code, _ = demo.end()

    assert code == 130
    ends = time.monotonic() + 30
    while demo.pids(str(demo.tmp)):
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert list(demo.tmp.iterdir()) == []
