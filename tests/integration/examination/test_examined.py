"""Plugins with one fault each: what a test of them finds, and at which tick."""

from datetime import UTC, datetime, timedelta
from math import sin
from textwrap import dedent

import pytest

from ntp.examination.cell import Limits
from ntp.examination.examine import examine
from ntp.examination.fault import ConfinedError
from ntp.examination.finding import Status
from ntp.examination.wish import Wish

BASE = """
import os, random
from ntp import StrategyPlugin, TradingSignal

class Tested(StrategyPlugin):
    def __init__(self, config):
        super().__init__(config)
        self.seen = 0
        self.begin()
    def begin(self):
        pass
    def signal(self, data, side="BUY"):
        return TradingSignal(data.symbol, side, 1.0, data.price)
"""
SOUND = """
    def analyze(self, data, history):
        self.seen += 1
        if len(history) >= 3 and data.price > history[-1].price > history[-2].price > history[-3].price:
            return self.signal(data)
        if len(history) >= 3 and data.price < history[-1].price < history[-2].price:
            return self.signal(data, "SELL")
"""
PEEKS = """
    def begin(self):
        self.rows = sum(1 for folder in os.listdir("/data") for file in os.listdir(f"/data/{folder}")
                        for line in open(f"/data/{folder}/{file}"))
    def analyze(self, data, history):
        self.seen += 1
        if self.seen % 40 == self.rows % 40:
            return self.signal(data)
"""
CHANCE = """
    def analyze(self, data, history):
        if random.random() < 0.2:
            return self.signal(data)
"""
HASHES = """
    def analyze(self, data, history):
        if hash(data.id) % 9 == 0:
            return self.signal(data)
"""
DIVIDES = """
    def analyze(self, data, history):
        if len(history) >= 5 and (data.price - history[-5].price) / (data.price - history[-1].price) > 3:
            return self.signal(data)
"""
REMEMBERS = """
    def begin(self):
        self.sum = 0.0
    def analyze(self, data, history):
        self.seen += 1
        self.sum += data.price
        if data.price > 1.004 * self.sum / self.seen:
            return self.signal(data)
"""
GROWS = """
    kept = []
    def analyze(self, data, history):
        self.kept.append(os.urandom(1 << 20))
"""
HANGS = """
    def analyze(self, data, history):
        while True:
            pass
"""
LEAVES = """
    def analyze(self, data, history):
        os._exit(7)
"""
FALLS = """
    def analyze(self, data, history):
        self.seen += 1
        return self.signal(data) if self.seen < 17 else {}["nothing"]
"""


@pytest.fixture
def data(tmp_path):
    start = datetime(2024, 8, 8, tzinfo=UTC)
    lines = ["timestamp,symbol,price,volume"]
    for i in range(400):
        at = (start + timedelta(minutes=i)).isoformat()
        lines.append(f"{at},BTC,{100 + sin(i / 7) + i % 5 / 10:.5f},{i % 3 + 1}")
    file = tmp_path / "prices.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def tested(tmp_path, data):
    def run(code, **wish):
        path = tmp_path / "tested.py"
        path.write_text(BASE + dedent(code) if code[0] != "\n" else BASE + code)
        return examine(Wish(path, data=[str(data)], **wish), lambda _: None)

    return run


def found(examined, name):
    return next(each for each in examined.findings if each.name == name)


def test_a_sound_plugin_passes_everything(tested):
    examined = tested(SOUND, history=50)
    assert examined.passed
    assert {each.status for each in examined.findings} == {Status.PASSED}
    assert examined.answer.ticks == 400
    assert examined.answer.signals == len(examined.signals) > 10
    assert examined.answer.fills == len(examined.fills) > 5


def test_one_that_reads_the_data_itself_sees_the_future(tested):
    examined = tested(PEEKS)
    assert found(examined, "look-ahead").status is Status.FAILED
    assert 1 <= found(examined, "look-ahead").at.number <= 40
    assert found(examined, "determinism").status is Status.PASSED
    assert not examined.passed


@pytest.mark.parametrize("code", [CHANCE, HASHES])
def test_chance_is_found_and_is_no_foresight(tested, code):
    examined = tested(code)
    assert found(examined, "determinism").status is Status.FAILED
    assert found(examined, "determinism").at.symbol == "BTC"
    assert found(examined, "look-ahead").status is Status.SKIPPED


def test_bad_data_that_ends_it_is_named_with_its_tick_and_line(tested):
    fault = found(tested(DIVIDES), "hostile data")
    assert fault.status is Status.FAILED
    assert fault.at.number == 6
    assert "ZeroDivisionError" in fault.words
    assert "tested.py:" in fault.words


def test_a_long_memory_is_a_warning(tested):
    examined = tested(REMEMBERS, history=20)
    assert found(examined, "warm-up").status is Status.WARNED
    assert examined.passed


def test_what_it_raises_is_told_with_its_tick(tested):
    examined = tested(FALLS, checks=False)
    assert examined.answer.raised.words == "KeyError: 'nothing'"
    assert examined.answer.raised.at.number == 17
    assert examined.answer.signals == 16
    assert not examined.passed


@pytest.mark.parametrize(
    ("code", "limits", "why"),
    [
        (GROWS, Limits(memory=96 * 1024**2), "more than 96 MiB of memory"),
        (HANGS, Limits(deadline_s=1.0), "did not finish within 1 s"),
        (LEAVES, Limits(), "ended the process that ran it, with code 7"),
    ],
)
def test_why_a_plugin_was_ended_is_said(tested, code, limits, why):
    with pytest.raises(ConfinedError, match=why) as raised:
        tested(code, checks=False, limits=limits)
    assert raised.value.plugins
    assert raised.value.fix


def test_it_is_isolated_and_says_how(tested, data, tmp_path):
    examined = tested(
        f"""
    def begin(self):
        assert not os.path.exists({str(tmp_path)!r}), "it sees the author's folder"
        try:
            open("/data/0/prices.csv", "a")
        except OSError:
            return
        raise AssertionError("it can write to the data")
    def analyze(self, data, history):
        return None
""",
        checks=False,
    )
    if examined.tier < 2:
        pytest.skip("no namespaces here")
    assert examined.answer.raised is None, examined.answer.raised
    assert not examined.answer.refused
