"""Data sources, heard for a while: what a test of them finds."""

from textwrap import dedent

import pytest

from ntp.examination.examine import examine
from ntp.examination.finding import Status
from ntp.examination.wish import Wish

BASE = """
import asyncio
from datetime import UTC, datetime, timedelta
from ntp import DataSourcePlugin, MarketData

class Tested(DataSourcePlugin):
    def tick(self, ago, symbol="BTC"):
        return MarketData(datetime.now(UTC) - timedelta(seconds=ago), symbol, 100.0, 1.0)
    async def connect(self):
        return True
    async def disconnect(self):
        pass
    async def subscribe(self, symbols):
        return True
    async def unsubscribe(self, symbols):
        pass
"""


@pytest.fixture
def heard(tmp_path):
    def run(code, **wish):
        path = tmp_path / "tested.py"
        code = dedent(code).replace("\n", "\n    ")
        path.write_text(BASE + code)
        return examine(Wish(path, **wish), lambda _: None)

    return run


def found(examined, name):
    return next(each for each in examined.findings if each.name == name)


FLOWS = """
async def stream(self):
    for ago in range(1000, 0, -1):
        yield self.tick(ago)
        await asyncio.sleep(0)
"""


def test_one_that_goes_on_is_heard_until_it_sent_enough(heard):
    examined = heard(FLOWS, ticks=20)
    assert examined.answer.ticks == 20
    assert {each.status for each in examined.findings} == {Status.PASSED}
    assert examined.answer.heard.again == 10
    assert found(examined, "connects").words.startswith("connected in ")


def test_one_that_ends_by_itself_is_told(heard):
    examined = heard(FLOWS.replace("1000", "5"), ticks=20)
    assert examined.answer.ticks == 5
    assert found(examined, "end").status is Status.FAILED


def test_one_that_says_that_it_cannot_connect_is_told(heard):
    examined = heard(FLOWS + "\nasync def connect(self):\n    return False\n")
    assert found(examined, "connects").words.startswith("connect() returned False; no tick came in")


def test_one_that_sends_nothing_is_heard_no_longer_than_it_may(heard):
    waits = "\nasync def stream(self):\n    await asyncio.Event().wait()\n    yield\n"
    examined = heard(waits, seconds=0.3)
    assert found(examined, "connects").status is Status.FAILED
    assert "connected in" in found(examined, "connects").words
