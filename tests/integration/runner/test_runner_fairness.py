"""A source that floods holds up another by a slice of its work, not by all that it has sent."""

from ntp.contract.names import Kind
from orchestrator.spec.model import Input
from tests.integration.runner.conftest import written

FLOOD = """
    import asyncio
    from datetime import UTC, datetime
    from pathlib import Path
    from ntp import DataSourcePlugin, MarketData

    class Plugin(DataSourcePlugin):
        async def stream(self):
            while not Path(self.config["begin"]).exists():
                await asyncio.sleep(0.01)
            for _ in range(self.config["count"]):
                yield MarketData(datetime.now(UTC), self.config["symbol"], 1.0, 1.0)
            await asyncio.Event().wait()
"""

STRATEGY = """
    import json, time
    from pathlib import Path
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        def __init__(self, config):
            super().__init__(config)
            self.notes = open(config["notes"], "a")

        def analyze(self, data, history):
            # One that takes longer than a slice: after each of the flood it may be another's turn.
            time.sleep(0.002)
            self.notes.write(json.dumps({"symbol": data.symbol, "id": data.id}) + "\\n")
            self.notes.flush()
            if data.symbol == "FLOOD":
                Path(self.config["begin"]).touch()
"""

COUNT = 1_000
"""Ticks of the flood: they come in one message, and take seconds."""


async def test_a_quiet_source_is_heard_in_the_middle_of_a_message_of_a_flood(bench):
    notes, begun, at_once = bench.folder / "notes", bench.folder / "begun", bench.folder / "now"
    for name, count, begin in (("flood", COUNT, at_once), ("quiet", 1, begun)):
        config = {"symbol": name.upper(), "count": count, "begin": str(begin)}
        bench.add(name, Kind.DATA_SOURCE, FLOOD, config=config)
    config = {"notes": str(notes), "begin": str(begun)}
    bench.add(
        "both", Kind.STRATEGY, STRATEGY, config=config, inputs=[Input("flood"), Input("quiet")]
    )
    await bench.open()
    bench.start()
    await bench.ready("flood", "quiet", "both")
    at_once.touch()
    await bench.until(lambda: notes.exists() and len(written(notes)) == COUNT + 1)
    seen = written(notes)
    symbols = [each["symbol"] for each in seen]
    flood = [each["id"] for each in seen if each["symbol"] == "FLOOD"]
    assert flood == sorted(flood, key=lambda name: int(name.replace(".", ":").split(":")[1]))
    assert "FLOOD" in symbols[symbols.index("QUIET") :], "the quiet one waited for the whole flood"
