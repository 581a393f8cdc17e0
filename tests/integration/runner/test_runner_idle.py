"""A plugin with nothing to do sleeps, and is there at once when something comes."""

from pathlib import Path

from ntp.contract.beat import QUIET_S, Stage
from ntp.contract.names import Kind
from orchestrator.spec.model import Input

SOURCE = """
    import asyncio
    from datetime import UTC, datetime
    from pathlib import Path
    from ntp import DataSourcePlugin, MarketData

    class Plugin(DataSourcePlugin):
        finite = True

        async def stream(self):
            go = Path(self.config["go"])
            while not go.exists():
                await asyncio.sleep(5.0)
            yield MarketData(datetime.now(UTC), "BTC", 1.0, 1.0)
"""
STRATEGY = """
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        def analyze(self, data, history):
            return None
"""
MOST_WAITS = 8
"""A second: beats, the watch, watermarks and looks have one each; it was 12 when two looked ten times."""
BEATS = 3


def waits(pid: int) -> int:
    """Return how often a process has gone to sleep."""
    return sum(
        int(line.split()[1])
        for task in Path(f"/proc/{pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


async def test_an_idle_plugin_sleeps_and_then_comes_to_its_end(bench):
    go = bench.folder / "go"
    bench.add("quiet", Kind.DATA_SOURCE, SOURCE, config={"symbols": ["BTC"], "go": str(go)})
    bench.add("idle", Kind.STRATEGY, STRATEGY, inputs=[Input("quiet")])
    await bench.open()
    bench.start()
    await bench.ready("quiet", "idle")

    # A beat that says the same as those before: what a start needs is done.
    await bench.until(lambda: all(bench.beat(name).number >= 4 for name in ("quiet", "idle")))
    for name in ("quiet", "idle"):
        pid, first = bench.processes[name].pid, bench.beat(name)
        before = waits(pid)
        await bench.until(lambda n=name, b=first: bench.beat(n).number >= b.number + BEATS)
        slept = waits(pid) - before
        took = (bench.beat(name).at - first.at).total_seconds()
        assert slept <= MOST_WAITS * (took + QUIET_S), f"{name} woke {slept} times in {took:.1f} s"

    go.touch()
    await bench.exhausted("quiet", "idle")
    assert bench.stage("idle") is Stage.EXHAUSTED
    assert bench.flows("idle", "data") == {"BTC": (1, 0)}
