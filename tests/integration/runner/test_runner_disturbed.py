"""Kills, a lost broker, a stop in the middle: an acknowledged signal has exactly one effect."""

import asyncio
import signal

import pytest

from ntp.contract.beat import Stage
from ntp.contract.names import Kind
from tests.integration.runner.conftest import written
from tests.integration.runner.test_runner_flow import EXECUTOR, SOURCE

PACED = SOURCE.replace(
    "            for i in range",
    "            import asyncio\n            for i in range",
).replace(
    "                for symbol,",
    "                await asyncio.sleep(self.config.get('pause', 0.002))\n"
    "                for symbol,",
)

EVERY_TENTH = """
    from ntp import StrategyPlugin, TradingSignal

    class Plugin(StrategyPlugin):
        seen = 0

        def analyze(self, data, history):
            self.seen += 1
            if self.seen % 10 == 0:
                kind = "BUY" if self.seen % 20 else "SELL"
                return TradingSignal(data.symbol, kind, 1.0, data.price, size=1.0)

        def report(self):
            return {"seen": self.seen}
"""

GAUGE = """
    import time
    from ntp import IndicatorPlugin

    class Plugin(IndicatorPlugin):
        def update(self, data):
            time.sleep(0.003)
            with open(self.config["notes"], "a") as notes:
                notes.write("1\\n")
            return data.price
"""

IDEMPOTENT = EXECUTOR.replace(
    'self.note(signal=signal.metadata["signal_id"]',
    'if signal.metadata["signal_id"] in self.known(): return\n'
    '            self.note(signal=signal.metadata["signal_id"]',
).replace(
    "        async def process_signal",
    "        def known(self):\n"
    "            notes = map(json.loads, open(self.config['notes']))\n"
    "            return {note['signal'] for note in notes if 'signal' in note}\n\n"
    "        async def process_signal",
)


def trio(bench, tmp_path, *, source=PACED, executor=IDEMPOTENT, count=600, **config):
    notes = tmp_path / "notes"
    bench.add("src", Kind.DATA_SOURCE, source, config={"count": count, **config})
    bench.add("ten", Kind.STRATEGY, EVERY_TENTH)
    bench.add("paper", Kind.EXECUTOR, executor, config={"notes": str(notes)})
    return notes


async def begin(bench):
    await bench.open()
    bench.start("ten", "paper")
    await bench.ready("ten", "paper")
    bench.start("src")


def wanted(count):
    return {
        f"ten:{symbol}:src:{i}:0" for symbol in ("BTC", "DOGE") for i in range(10, count + 1, 10)
    }


def signals(notes):
    return [note["signal"] for note in written(notes) if "signal" in note]


async def halfway(bench, count):
    await bench.until(
        lambda: bench.stage("ten") and bench.flows("ten", "data").get("BTC", (0,))[0] > count // 3
    )


async def test_a_source_that_dies_and_begins_again_makes_no_signal_twice(bench, tmp_path):
    notes = trio(bench, tmp_path)
    await begin(bench)
    await halfway(bench, 600)
    bench.kill("src")
    bench.start("src")
    await bench.exhausted("src", "ten", "paper")
    assert sorted(signals(notes)) == sorted(wanted(600))
    assert bench.flows("ten", "data") == {"BTC": (600, 0), "DOGE": (600, 0)}
    assert bench.beat("ten").report == {"BTC": {"seen": 600}, "DOGE": {"seen": 600}}


async def test_an_executor_that_dies_is_given_what_it_had_not_acknowledged(bench, tmp_path):
    # Slow enough that signals are still to come when the news of its middle has arrived.
    notes = trio(bench, tmp_path, pause=0.005)
    await begin(bench)
    await halfway(bench, 600)
    bench.kill("paper")

    def sent():
        return sum(count for count, _ in bench.flows("ten", "signal", sent=True).values())

    taken = len(signals(notes))
    await bench.until(lambda: sent() > taken + 10)
    bench.start("paper")
    await bench.exhausted("ten")
    await bench.until(lambda: len(signals(notes)) >= len(wanted(600)))
    assert sorted(signals(notes)) == sorted(wanted(600))


async def test_neither_tick_nor_signal_is_lost_with_the_broker(bench, tmp_path):
    notes = trio(bench, tmp_path, executor=EXECUTOR)
    await begin(bench)
    await halfway(bench, 600)
    bench.kill_broker()
    await bench.open()
    await bench.exhausted("src", "ten", "paper")
    # What was on its way, and what was sent while the broker was away, is sent again.
    for name in ("ten", "paper"):
        assert bench.flows(name, "data") == {"BTC": (600, 0), "DOGE": (600, 0)}
    assert sorted(signals(notes)) == sorted(wanted(600))


@pytest.mark.parametrize("moment", [0.1, 0.4, 0.7])
async def test_a_strategy_that_dies_goes_on_where_it_was(bench, tmp_path, moment):
    # So slow that ticks are still to come when the news of a moment ago has arrived.
    notes = trio(bench, tmp_path, executor=EXECUTOR, pause=0.008)
    await begin(bench)
    await bench.until(lambda: _heard(bench) > 600 * moment)
    bench.kill("ten")
    # Meanwhile ticks come, which nobody else keeps for it.
    heard = min(_heard(bench, "paper") + 50, 600)
    await bench.until(lambda: _heard(bench, "paper") >= heard)
    bench.start("ten")
    await bench.exhausted("src", "ten", "paper")
    assert sorted(signals(notes)) == sorted(wanted(600))
    assert bench.beat("ten").report == {"BTC": {"seen": 600}, "DOGE": {"seen": 600}}
    assert bench.beat("ten").replayed.missed > 0


def _heard(bench, name="ten"):
    return bench.flows(name, "data").get("BTC", (0,))[0] if bench.stage(name) else 0


async def test_a_tail_of_values_that_was_lost_with_the_broker_comes_again(bench, tmp_path):
    notes = tmp_path / "gauged"
    trio(bench, tmp_path, source=SOURCE, executor=EXECUTOR, count=300)
    bench.add("gauge", Kind.INDICATOR, GAUGE, config={"notes": str(notes)})
    await bench.open()
    bench.start("ten", "paper", "gauge")
    await bench.ready("ten", "paper", "gauge")
    bench.start("src")
    came = {"BTC": (300, 0), "DOGE": (300, 0)}
    await bench.until(lambda: bench.beat("ten") and bench.flows("ten", "data") == came)
    # All ticks are there. The values from here on are taken by nobody who passes them on, and no
    # later value will show the gap.
    bench.freeze_broker()
    assert len(written(notes)) < 600, "it was to be frozen before all is valued"
    await bench.until(lambda: len(written(notes)) == 600)
    bench.kill_broker()
    await bench.open()

    await bench.until(lambda: bench.flows("ten", "indicator") == came)
    assert bench.flows("gauge", "indicator", sent=True) == came


async def test_a_stop_finishes_what_waits_and_sees_it_stored(bench, tmp_path):
    go, notes = tmp_path / "go", tmp_path / "notes"
    held = EVERY_TENTH.replace(
        "            self.seen += 1\n",
        "            import os, time\n"
        f"            while not os.path.exists({str(go)!r}):\n"
        "                time.sleep(0.01)\n"
        "            self.seen += 1\n",
    )
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 300})
    bench.add("ten", Kind.STRATEGY, held, grace_s=60.0, timeout_s=60.0)
    bench.add("paper", Kind.EXECUTOR, EXECUTOR, config={"notes": str(notes)})
    await begin(bench)
    await bench.exhausted("src")
    bench.processes["ten"].send_signal(signal.SIGTERM)  # while all ticks wait
    go.touch()
    assert await bench.ended("ten") == 0
    assert bench.stage("ten") is Stage.DRAINING
    assert bench.flows("ten", "data") == {"BTC": (300, 0), "DOGE": (300, 0)}
    await bench.until(lambda: len(signals(notes)) >= len(wanted(300)))
    assert sorted(signals(notes)) == sorted(wanted(300))


async def test_a_stop_lets_an_order_that_is_being_placed_finish(bench, tmp_path):
    filled = tmp_path / "filled"
    placing = EXECUTOR.replace(
        "        async def process_signal(self, signal):\n",
        "        async def process_signal(self, signal):\n"
        "            import asyncio, os\n"
        "            self.note(begun=signal.metadata['signal_id'])\n"
        f"            while not os.path.exists({str(filled)!r}):\n"
        "                await asyncio.sleep(0.01)\n",
    )
    notes = trio(bench, tmp_path, executor=placing, count=40)
    await begin(bench)
    await bench.until(lambda: notes.exists() and '"begun"' in notes.read_text())
    async with asyncio.TaskGroup() as tasks:
        stopping = tasks.create_task(bench.stop("paper"))
        await bench.until(lambda: bench.stage("paper") is Stage.DRAINING)
        filled.touch()
    assert stopping.result() == 0
    noted = written(notes)
    assert [n["begun"] for n in noted if "begun" in n] == [
        n["signal"] for n in noted if "signal" in n
    ]
    # What it had not begun is there for its next life.
    bench.start("paper")
    await bench.until(lambda: len(signals(notes)) == len(wanted(40)), within=60)
    assert sorted(signals(notes)) == sorted(wanted(40))


async def test_two_strategies_have_an_object_each_at_one_executor(bench, tmp_path):
    notes = trio(bench, tmp_path, source=SOURCE, executor=EXECUTOR, count=100)
    bench.add("other", Kind.STRATEGY, EVERY_TENTH)
    await bench.open()
    bench.start("ten", "other", "paper")
    await bench.ready("ten", "other", "paper")
    bench.start("src")
    await bench.exhausted("paper")
    noted = [note for note in written(notes) if "signal" in note]
    assert {note["strategy"] for note in noted} == {"ten", "other"}
    assert all(note["signal"].startswith(note["strategy"] + ":") for note in noted)
    assert len(noted) == 2 * len(wanted(100))
    assert set(bench.beat("paper").report) == {"ten", "other"}
    assert written(notes).count({"finished": True}) == 2
