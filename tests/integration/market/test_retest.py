"""`ntpctl plugin verify NAME --retest`: the report that an author signed, once more on a buyer's own data."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from ntp.cli import main as ntp
from ntp.create.folder import create
from ntp.oci.layout import Layout
from tests.worlds import base_image
from tests.worlds.marketplace import desk

RETEST = ("verify", "my_strategy", "--retest", "--data")
SAID = {"egress": [], "secrets": [], "entrypoint": "my_strategy:MyStrategy"}
"""What the desk's plugin is, that the template's code is put into."""


@pytest.fixture(scope="module")
def sold(tmp_path_factory):
    """A plugin that its author made, tested and published with the author's own commands."""
    home = tmp_path_factory.mktemp("author")
    folder, report = home / "my_strategy", home / "report.json"
    create(folder, "bollinger", symbol="BTCUSDT", author="Ann")
    base_image.make(home / "base")
    sample = folder / "sample_data.csv"

    def run(*arguments):
        found = CliRunner().invoke(
            ntp,
            list(map(str, arguments)),
            env={"NTP_CONFIG": str(home / "keys"), "NTP_BASE": str(home / "base")},
            catch_exceptions=False,
        )
        assert found.exit_code == 0, found.output
        return found

    given = ("--config", "period=15", "--bars", "2s", "--history", "300", "--fee", "0.0005", "--json", report)  # fmt: skip
    run("plugin", "test", folder, "--data", sample, *given)
    made = json.loads(run("marketplace", "init", "desk", home / "plugins", "--output", "json").stdout)  # fmt: skip
    run("plugin", "publish", folder, "--report", report)
    other = home / "mine.csv"
    head, *rows = sample.read_text().splitlines()
    other.write_text("\n".join([head, *(row.replace("BTC", "ETH") for row in rows[200:])]) + "\n")
    return SimpleNamespace(
        owner=made["owner"],
        place=home / "plugins",
        sample=sample,
        other=other,
        report=report.read_bytes(),
        code=(folder / "my_strategy.py").read_bytes(),
    )


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where everything temporary lies, of this process and of its children."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    return place


@pytest.fixture
def bought(sold, ntpctl, scratch):
    """The plugin is installed by somebody else, who trusts the marketplace's owner."""
    add = ["marketplace", "add", "desk", str(sold.place), "--fingerprint", sold.owner]
    assert CliRunner().invoke(ntp, add, catch_exceptions=False).exit_code == 0
    ntpctl("install", "my_strategy")
    return ntpctl


@pytest.fixture
def selling(tmp_path, sold, ntpctl, scratch):
    """Have an author sell what is asked for: the template's code and its report, but for what is said."""
    place = desk(tmp_path, str(tmp_path / "plugins"))

    def sell(*, said=None, **made_of):
        given = {"code": sold.code, "report": sold.report, "said": {**SAID, **(said or {})}}
        place.publish("1.0.0", **{**given, **made_of})
        ntpctl("install", "my_strategy")
        return ntpctl

    return sell


def _retested(ntpctl, data, code=0):
    (row,) = json.loads(ntpctl(*RETEST, data, "-o", "json", code=code).stdout)["plugins"]
    return row


def test_on_the_data_of_its_author_the_report_is_made_again(sold, bought, scratch):
    row = _retested(bought, sold.sample)
    found = row["retest"]
    assert row["good"]
    assert found["passed"]
    assert found["same_data"]
    assert found["notes"] == [
        "your entry has another config than the report was made with: period",
        "your data is what the report was made on, and gives the same figures",
    ]
    theirs = json.loads(sold.report)
    assert (found["settings"], found["config"]) == (theirs["settings"], {"period": 15})
    assert found["report"]["settings"] == theirs["settings"]
    assert found["report"]["strategies"] == theirs["strategies"]
    assert all(each["theirs"] == each["yours"] for each in found["figures"])
    assert {each["figure"]: each["theirs"] for each in found["figures"]}["fills"] > 0
    assert list(scratch.iterdir()) == []


def test_on_other_data_its_figures_stand_beside_the_reports(sold, bought, scratch):
    shutil.rmtree(bought.cache)  # it is fetched once more
    told = bought(*RETEST, sold.other)
    assert "layer 1 of" in told.stderr
    for words in (
        "as its report was made: period=15, bars 2s, history 300, capital 10000, fee 0.0005",
        "sample_data.csv: 600 ticks of BTCUSDT",
        "mine.csv: 400 ticks of ETHUSDT",
        "it ran to the end on your data, and no check failed",
    ):
        assert words in told.stdout
    rows = {line.split("  ")[0]: line.split()[-2:] for line in told.stdout.splitlines() if line}
    assert rows["FIGURE"] == ["YOUR", "DATA"]
    assert rows["Fees"][0] != rows["Fees"][1]
    assert rows["Capital"] == ["10,000.00", "10,000.00"]
    assert list(scratch.iterdir()) == []


def test_figures_that_the_authors_own_data_does_not_give_are_found_out(sold, selling):
    forged = json.loads(sold.report)
    forged["strategies"][0]["figures"]["net_profit"]["value"] = "4000.00000000"
    found = _retested(selling(report=json.dumps(forged).encode()), sold.sample, code=6)["retest"]
    assert not found["passed"]
    assert found["report"]["passed"]
    words = "your data is what the report was made on, and gives other figures: Net profit"
    assert words in found["notes"]
    assert "the report is of my_strategy 0.1.0, and this is my_strategy 1.0.0" in found["notes"]


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (b"raise RuntimeError('only of BTC')", "on your data it raised RuntimeError: only of BTC"),
        (b"__import__('os')._exit(3)", "it gave no answer on your data: why stands above"),
    ],
)
def test_what_ends_on_a_buyers_data_does_not_pass(sold, selling, does, words):
    code = sold.code.replace(
        b"class MyStrategy(StrategyPlugin):",
        b"class MyStrategy(StrategyPlugin):\n"
        b"    def update_state(self, data):\n"
        b"        if data.symbol == 'ETHUSDT': " + does + b"\n",
    )
    assert code != sold.code
    told = selling(code=code)(*RETEST, sold.other, code=6).stdout
    assert words in told
    assert told.endswith("it did not pass on your data\n")


@pytest.mark.parametrize(
    ("made_of", "words"),
    [
        ({"report": None}, ["was signed without a report", "fix: ask its author"]),
        ({"report": b'{"signals": 12}'}, ["its report cannot be rerun", "fix: ask its author"]),
        (
            {"said": {"kind": "data_source"}},
            ["a data source makes its data itself", "fix: watch it run"],
        ),
    ],
)
def test_what_cannot_be_rerun_is_refused_with_what_to_do(sold, selling, made_of, words):
    told = selling(**made_of)(*RETEST, sold.sample, code=5)
    assert told.stdout == ""
    assert told.stderr.startswith("error: 'my_strategy'")
    assert all(word in told.stderr for word in words), told.stderr


def test_data_of_another_layout_is_read_as_it_is_told(sold, bought, tmp_path):
    """The same rows, with columns and times that nobody could know; so the signals are the report's."""
    rows = [line.split(",") for line in sold.sample.read_text().splitlines()]
    at = {name: place for place, name in enumerate(rows[0])}
    lines = ["when;what"]
    for row in rows[1:]:
        there = datetime.fromisoformat(row[at["timestamp"]]).astimezone(ZoneInfo("Europe/Berlin"))
        lines.append(f"{there:%Y-%m-%d %H:%M:%S};{row[at['price']]}")
    odd = tmp_path / "odd.csv"
    odd.write_text("\n".join(reversed([*lines[1:], lines[0]])) + "\n")
    told = bought(*RETEST, odd, "-o", "json", code=2).stderr
    assert "--map, --zone and --symbol say what it does not say itself" in told
    reading = ("--map", "timestamp=when", "--map", "price=what", "--zone", "Europe/Berlin", "--symbol", "BTCUSDT", "--sort")  # fmt: skip
    (row,) = json.loads(bought(*RETEST, odd, *reading, "-o", "json").stdout)["plugins"]
    found = row["retest"]
    for side in ("theirs", "yours"):
        assert found["data"][side]["symbols"] == {"BTCUSDT": 600}
    assert found["data"]["yours"]["first"] == found["data"]["theirs"]["first"]
    # Bid and ask, which it is filled at, are not in it.
    assert found["report"]["run"]["signals"] == json.loads(sold.report)["run"]["signals"] > 0


def test_how_data_is_read_goes_with_a_retest(bought):
    told = bought("verify", "--map", "price=x", "--map", "volume=y", "--zone", "UTC", "--symbol", "X", "--sort", code=2).stderr  # fmt: skip
    for option in ("--map", "--zone", "--symbol", "--sort"):
        assert told.count(f"{option} goes with --retest") == 1


def test_what_neither_its_image_nor_this_machine_has_is_told(sold, selling):
    ntpctl = selling(said={"requirements": ["ntp-has-no-such>=1"]})
    told = ntpctl(*RETEST, sold.sample, code=5).stderr
    for words in (
        "'my_strategy': it needs ntp-has-no-such>=1, which is not in its image and not here",
        "fix: have its author package it for this Python, or run it whole, on Docker",
    ):
        assert words in told


def test_an_indicator_of_the_report_is_asked_for(sold, selling):
    report = json.loads(sold.report)
    report["settings"]["indicators"] = ["fast"]
    ntpctl = selling(report=json.dumps(report).encode())
    told = ntpctl(*RETEST, sold.sample, code=5).stderr
    assert "made with the indicator 'fast', which is not in its image" in told


def test_nothing_is_run_of_what_does_not_hold(sold, bought):
    index = Layout.open(bought.cache / "images").index()
    blobs = Layout.open(bought.cache / "images").root / "blobs" / "sha256"
    assert index
    largest = max(blobs.iterdir(), key=lambda each: each.stat().st_size)
    largest.chmod(0o644)
    content = bytearray(largest.read_bytes())
    content[20] ^= 1
    largest.write_bytes(content)
    row = _retested(bought, sold.sample, code=6)
    assert "was altered" in row["found"]
    assert (row["good"], row["retest"]) == (False, None)


def test_what_is_typed_wrong_is_told_with_what_to_type(sold, bought, tmp_path):
    for arguments, words in (
        (("my_strategy", "--retest"), "--retest needs data of yours\n  fix: --data MINE.csv"),
        (("my_strategy", "--data", sold.sample), "--data goes with --retest\n  fix: "),
        (("--retest", "--data", sold.sample), "is of one plugin, and 0 were named\n  fix: "),
        ((*RETEST[1:], tmp_path / "nowhere.csv"), "nowhere.csv' does not exist"),
    ):
        assert words in bought("verify", *arguments, code=2).stderr
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    told = bought(*RETEST, bad, code=2)
    assert "bad.csv:1: no column is known to be the timestamp" in told.stderr
    assert "fix: where it is the data: --map, --zone and --symbol say" in told.stderr
    assert told.stdout == ""


def test_what_is_interrupted_leaves_nothing_behind(sold, selling, scratch):
    code = sold.code.replace(
        b"class MyStrategy(StrategyPlugin):",
        b"class MyStrategy(StrategyPlugin):\n"
        b"    def update_state(self, data):\n"
        b"        while True: pass\n",
    )
    selling(code=code)
    running = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "plugin", *RETEST, str(sold.sample)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        while not list(scratch.glob("ntp-test-*/run-*/order.json")):
            assert running.poll() is None, running.stderr.read()
        (child,) = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert said.endswith("interrupted\n")
    assert "Traceback" not in said
    assert not Path("/proc", child).exists()
    assert list(scratch.iterdir()) == []
