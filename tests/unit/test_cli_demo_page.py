"""The demo's page says what it was made of, what it did not hear, and what went wrong."""

import re

from ntp.contract.messages import MarketData
from orchestrator.app.demonstration import Demonstration
from orchestrator.app.overheard import Transcript
from orchestrator.cli.demo_page import page, write
from orchestrator.cli.demo_report import summarise
from tests.unit.test_cli_demo_report import NOW, world

DEMO = Demonstration(
    declared=None,
    symbols={"feed": ["BTCUSDT"], "other": ["AAPL"]},
    synthetic=frozenset({"AAPL"}),
)


def made(ticks=10, failures=()):
    heard = Transcript()
    heard.ticks["feed", "BTCUSDT"] = [MarketData(NOW, "BTCUSDT", 100.0, 1.0)] * ticks
    played = {"feed": {"BTCUSDT": 10}}
    return page(DEMO, heard, summarise(world(), played=played), failures, 5.0)


def cells(text):
    return re.findall(r"<td[^>]*>(.*?)</td>", text)


def test_what_was_not_heard_is_told_and_what_was_is_not():
    assert "This page heard only 7 of 10 ticks, 0 of 3 signals, 0 of 2 fills" in made(ticks=7)
    assert "heard only 0 of 3 signals" in made()


def test_every_edge_stands_in_it_and_what_went_wrong_comes_before():
    assert cells(made())[-8:] == ["paper", "alpha", "fill", "BTCUSDT", "2", "2", "0", "0"]
    assert "What was sent equals what arrived" in made()

    failed = made(failures=["left behind: <a process>"])
    assert "What was sent equals what arrived" not in failed
    assert cells(failed).index("left behind: &lt;a process&gt;") < cells(failed).index("exchange")


def test_it_says_what_is_recorded_and_what_is_synthetic():
    text = made()

    assert "trades are recorded: 50 s of them, played 5 times as fast" in text
    assert "prices are synthetic: nobody ever paid them" in text


def test_a_page_takes_the_place_of_the_one_before(tmp_path):
    file = tmp_path / "new" / "demo.html"
    write("one", file)
    write("two", file)

    assert file.read_text() == "two"
    assert list(file.parent.iterdir()) == [file]
