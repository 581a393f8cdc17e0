"""A plugin that starts is shown the last captured ticks first: it is warm, and nothing of that leaves."""

import pytest

from ntp.contract.names import Kind
from orchestrator.spec.model import Input
from tests.integration.runner.conftest import written

TICKING = """
    import asyncio
    from datetime import UTC, datetime, timedelta
    from ntp import DataSourcePlugin, MarketData

    class Plugin(DataSourcePlugin):
        finite = True

        async def stream(self):
            began = datetime(2026, 1, 1, tzinfo=UTC)
            for number in range(self.config["count"]):
                for symbol in ("BTC", "A.B"):
                    yield MarketData(began + timedelta(seconds=number), symbol, float(number), 1.0)
                if self.config.get("pause"):
                    await asyncio.sleep(self.config["pause"])
"""
SIGNALLING = """
    import json
    from ntp import SignalType, StrategyPlugin, TradingSignal

    class Plugin(StrategyPlugin):
        def __init__(self, config):
            super().__init__(config)
            self.notes = open(config["notes"], "a")

        def analyze(self, data, history):
            numbers = [tick.price for tick in history]
            json.dump([data.symbol, data.price, numbers, data.metadata.get("indicators")], self.notes)
            self.notes.write("\\n")
            self.notes.flush()
            if data.price % 10 == self.config["at"]:
                return TradingSignal(data.symbol, SignalType.BUY, 0.5, data.price, size=1.0)
"""
DOUBLE = """
    from ntp import IndicatorPlugin

    class Plugin(IndicatorPlugin):
        seen = 0

        def update(self, data):
            self.seen += 1
            return {"twice": 2 * data.price, "seen": self.seen}
"""
FILLING = """
    import json
    from ntp import ExecutorPlugin

    class Plugin(ExecutorPlugin):
        async def process_signal(self, signal):
            with open(self.config["notes"], "a") as notes:
                notes.write(json.dumps([signal.symbol, signal.price]) + "\\n")
"""


async def replayed(bench, name):
    """Return what the life that runs now was shown, which was something."""
    return await bench.until(lambda: (found := bench.beat(name).replayed) and found.ticks and found)


def numbers(notes, symbol):
    return [line[1] for line in written(notes) if line[0] == symbol]


async def test_a_new_life_is_warm_at_once_and_sends_nothing_of_what_was_replayed(bench, tmp_path):
    notes, acted = tmp_path / "notes", tmp_path / "acted"
    bench.add("src", Kind.DATA_SOURCE, TICKING, config={"count": 200})
    bench.add(
        "one", Kind.STRATEGY, SIGNALLING, config={"notes": str(notes), "at": 3},
        inputs=[Input("src")], replay=50,
    )  # fmt: skip
    bench.add("exe", Kind.EXECUTOR, FILLING, config={"notes": str(acted)}, inputs=[Input("one")])
    await bench.open()
    bench.start("one", "exe")
    await bench.ready("one", "exe")
    first = bench.beat("one").replayed
    assert (first.ticks, first.signals, first.problem) == (0, 0, "")
    bench.start("src")
    await bench.exhausted("src", "one", "exe")
    assert len(written(acted)) == 40

    await bench.stop("one")
    notes.unlink()
    # Another code: it would signal at ticks at which the first did not.
    bench.plugins["one"].config["at"] = 7
    bench.start("one")
    again = await replayed(bench, "one")
    assert (again.ticks, again.signals, again.last.price) == (100, 10, 197.0)
    for symbol in ("BTC", "A.B"):
        assert numbers(notes, symbol) == [float(number) for number in range(150, 200)]
    assert len(written(notes)[-1][2]) == 49
    await bench.exhausted("one")
    assert bench.beat("one").sent == []
    assert bench.flows("one", "data") == {"BTC": (0, 0), "A.B": (0, 0)}
    assert bench.beat("one").conditions == []
    assert bench.beat("one").signal is None
    assert len(written(acted)) == 40


async def test_ticks_that_come_meanwhile_follow_without_a_gap(bench, tmp_path):
    notes, acted = tmp_path / "notes", tmp_path / "acted"
    bench.add("src", Kind.DATA_SOURCE, TICKING, config={"count": 4000, "pause": 0.001})
    bench.add(
        "one", Kind.STRATEGY, SIGNALLING, config={"notes": str(notes), "at": 3},
        inputs=[Input("src", symbols=("BTC",))], replay=10_000, history=5,
    )  # fmt: skip
    bench.add("exe", Kind.EXECUTOR, FILLING, config={"notes": str(acted)}, inputs=[Input("one")])
    await bench.open()
    bench.start("one", "exe")
    await bench.ready("one", "exe")
    bench.start("src")
    lives = []
    for _ in range(3):
        await bench.until(lambda: notes.exists() and len(written(notes)) > 300)
        if bench.processes["src"].poll() is not None or bench.stage("src") == "exhausted":
            break
        bench.kill("one")
        lives.append(written(notes))
        notes.unlink()
        bench.start("one")
    await bench.exhausted("src", "one", "exe")
    assert lives
    assert numbers(notes, "BTC") == [float(number) for number in range(4000)]
    assert numbers(notes, "A.B") == []
    shown, live = bench.beat("one").replayed, bench.flows("one", "data")["BTC"]
    assert live == (4000 - shown.ticks, 0)
    assert shown.missed > 0
    # Each signal was acted upon once, also those of ticks that came while nobody was there.
    assert [price for _, price in written(acted)] == [float(at) for at in range(3, 4000, 10)]


async def test_replayed_ticks_bear_their_indicator_values(bench, tmp_path):
    notes = tmp_path / "notes"
    bench.add("src", Kind.DATA_SOURCE, TICKING, config={"count": 30})
    bench.add("double", Kind.INDICATOR, DOUBLE, replay=20)
    bench.add(
        "one", Kind.STRATEGY, SIGNALLING, config={"notes": str(notes), "at": 3},
        inputs=[Input("src", symbols=("A.B",)), Input("double", symbols=("A.B",))], replay=20,
    )  # fmt: skip
    await bench.open()
    bench.start("one", "double")
    await bench.ready("one", "double")
    bench.start("src")
    await bench.exhausted("src", "double", "one")
    await bench.stop("one")
    before = written(notes)
    notes.unlink()
    bench.start("one")
    await bench.exhausted("one")
    assert [line[3] for line in written(notes)] == [line[3] for line in before[-20:]]
    assert written(notes)[-1][3] == {"double": {"twice": 58.0, "seen": 30.0}}
    assert bench.beat("one").conditions == []

    # The indicator itself is warm too: it goes on counting, and values nothing twice.
    await bench.stop("double")
    bench.start("double")
    assert (await replayed(bench, "double")).ticks == 40
    await bench.until(lambda: bench.beat("double").number > 4)
    sent = bench.flows("double", "indicator", sent=True)
    assert set(sent.values()) == {(0, 0)}  # where it stands, and no value


@pytest.mark.long
async def test_the_capture_keeps_ticks_behind_a_quiet_source(bench, tmp_path):
    """Watermarks come every second, for ever: they must not push out what was sent before them."""
    bench.add("src", Kind.DATA_SOURCE, TICKING, config={"count": 30})
    bench.add(
        "one", Kind.STRATEGY, SIGNALLING, config={"notes": str(tmp_path / "notes"), "at": 3},
        inputs=[Input("src")], replay=1,
    )  # fmt: skip
    await bench.open()
    bench.start("one")
    await bench.ready("one")
    bench.start("src")
    await bench.exhausted("src", "one")
    # More than the stream holds of both symbols.
    await bench.until(lambda: bench.beat("src").number > 12)
    bench.kill("one")
    (tmp_path / "notes").unlink()
    bench.start("one")
    assert (await replayed(bench, "one")).ticks == 2
    assert [line[:2] for line in written(tmp_path / "notes")] == [["BTC", 29.0], ["A.B", 29.0]]
    await bench.exhausted("one")
