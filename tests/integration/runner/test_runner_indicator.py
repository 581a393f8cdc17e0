"""A strategy finds each indicator's value of the very tick that it looks at."""

from ntp.contract.names import Kind
from orchestrator.spec.model import Input
from tests.integration.runner.conftest import written
from tests.integration.runner.test_runner_flow import SOURCE

DOUBLE = """
    from ntp import IndicatorPlugin

    class Plugin(IndicatorPlugin):
        def __init__(self, config):
            super().__init__(config)
            self.count = 0

        def update(self, data):
            self.count += 1
            if self.config.get("silent"):
                import time
                time.sleep(3600)
            if self.count < 3:
                return None
            if self.count == 7:
                return float("nan")
            return {"twice": 2 * data.price, "count": self.count}
"""

COMPARING = """
    import json
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        def __init__(self, config):
            super().__init__(config)
            self.notes = open(config["notes"], "a")

        def analyze(self, data, history):
            found = data.metadata["indicators"]
            json.dump([data.symbol, data.price, len(history), found], self.notes)
            self.notes.write("\\n")
            self.notes.flush()

        def get_indicators(self):
            return {"answer": 42.0}
"""


async def test_values_are_those_of_the_tick(bench, tmp_path):
    notes = tmp_path / "notes"
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 300})
    bench.add("double", Kind.INDICATOR, DOUBLE)
    bench.add("one", Kind.STRATEGY, COMPARING, config={"notes": str(notes)})
    await bench.open()
    bench.start("one", "double")
    await bench.ready("one", "double")
    bench.start("src")
    await bench.exhausted("double", "one")
    noted = written(notes)
    assert len(noted) == 600
    for _, price, before, found in noted:
        value = {"twice": 2 * price, "count": before + 1}
        assert found == {"double": None if before < 2 or before == 6 else value}
    assert bench.flows("one", "indicator") == {"BTC": (300, 0), "DOGE": (300, 0)}
    assert bench.flows("double", "indicator", sent=True) == {"BTC": (300, 0), "DOGE": (300, 0)}
    assert bench.beat("double").refused == 2
    assert bench.beat("one").indicators == {"BTC": {"answer": 42.0}, "DOGE": {"answer": 42.0}}


async def test_a_silent_indicator_delays_a_tick_by_its_deadline_only(bench, tmp_path):
    notes = tmp_path / "notes"
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 20})
    bench.add("double", Kind.INDICATOR, DOUBLE, config={"silent": True})
    bench.add("one", Kind.STRATEGY, COMPARING, config={"notes": str(notes)})
    await bench.open()
    bench.start("one", "double")
    await bench.ready("one", "double")
    bench.start("src")
    await bench.exhausted("one")
    assert [found for *_, found in written(notes)] == [{"double": None}] * 40
    assert {flow.late for flow in bench.beat("one").received if flow.channel == "indicator"} == {20}
    (late,) = [c for c in bench.beat("one").conditions if c.type == "IndicatorsLate"]
    assert "40 ticks" in late.message


async def test_bars_are_what_the_strategy_and_its_history_see(bench, tmp_path):
    notes = tmp_path / "notes"
    code = COMPARING.replace('data.metadata["indicators"]', "data.metadata")
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 150})
    bench.add(
        "one",
        Kind.STRATEGY,
        code,
        config={"notes": str(notes)},
        inputs=[Input("src", symbols=("BTC",), bars="1m")],
    )
    await bench.open()
    bench.start("one")
    await bench.ready("one")
    bench.start("src")
    await bench.exhausted("one")
    noted = written(notes)
    assert [(symbol, before) for symbol, _, before, _ in noted] == [
        ("BTC", 0),
        ("BTC", 1),
        ("BTC", 2),
    ]
    assert [found["count"] for *_, found in noted] == [60, 60, 30]
    assert bench.flows("one", "data") == {"BTC": (150, 0)}
