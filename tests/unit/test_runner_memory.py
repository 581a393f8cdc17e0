"""What a plugin keeps for its next life is written when there is something new, and then alone."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from ntp import StrategyPlugin
from ntp.contract.launch import Listen
from ntp.contract.messages import DataBatch, MarketData
from ntp.contract.names import Kind
from ntp.runner.core.border import Refusals
from ntp.runner.core.edge import new_incarnation
from ntp.runner.core.intake import Intake
from ntp.runner.core.kept import Kept
from ntp.runner.core.objects import Maker
from ntp.runner.memory import Memory

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIFE = new_incarnation(2000, "a")


class Still(StrategyPlugin):
    def analyze(self, data, history):  # noqa: ARG002 - the base's signature
        return None


class Shelf:
    """A bucket in memory."""

    def __init__(self):
        self.stored = []

    async def load(self):
        await asyncio.sleep(0)
        return self.stored[-1] if self.stored else b""

    async def store(self, payload):
        await asyncio.sleep(0)
        self.stored.append(payload)


class Line:
    def __init__(self):
        self.bucket = Shelf()


@pytest.fixture
async def desk():
    line, intake = Line(), Intake([Listen("src", Kind.DATA_SOURCE)])
    memory = Memory(Maker(Still, {}, instance="one"), Refusals())
    await memory.begin(line, Still({}))
    return memory, intake, line.bucket.stored


def tick(intake, number):
    batch = DataBatch(
        "src", LIFE, "BTC", number, [MarketData(NOON, "BTC", 1.0, 1.0, id=f"src:{number}")]
    )
    for run in intake.data(batch, 0.0):
        run.done(0)


async def test_a_quiet_market_writes_nothing(desk):
    memory, intake, stored = desk
    for number in (1, 2):
        tick(intake, number)
        for _ in range(5):
            memory.look(intake, {}, idle=True)
            await memory.keep()
        assert len(stored) == number
    (mark,) = msgspec.json.decode(stored[-1], type=Kept).marks
    assert mark.through == 2


async def test_an_executor_that_stands_still_writes_nothing(desk):
    memory, intake, stored = desk
    tick(intake, 1)
    for _ in range(5):
        assert await memory.lanes(intake.marks(), {"one": intake.marks()}, idle=True)
    assert len(stored) == 1


async def test_nothing_is_kept_before_what_came_of_it_is_stored(desk):
    memory, intake, stored = desk
    tick(intake, 1)
    signal = asyncio.get_running_loop().create_future()
    memory.look(intake, {}, idle=True, stored=signal)
    await memory.keep(all_of_it=True)
    assert stored == []
    signal.set_result(None)
    await memory.keep(all_of_it=True)
    assert len(stored) == 1
