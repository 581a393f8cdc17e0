"""What an input's policy says becomes of ticks that are not analysed in time, or are lost."""

from ntp.contract.names import Kind
from orchestrator.spec.model import Input
from tests.integration.runner.test_runner_flow import SOURCE
from tests.integration.runner.test_runner_hostile import SILENT_SOURCE, batch, raw, tick

SLOW = """
    import time
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        seen = skipped = 0
        last = ""

        def analyze(self, data, history):
            time.sleep(0.02)
            self.seen += 1
            self.skipped += data.metadata.get("skipped", 0)
            self.last = data.id

        def report(self):
            return {"seen": self.seen, "skipped": self.skipped, "last": self.last}
"""


async def test_a_slow_strategy_sees_the_latest_and_is_told_what_it_missed(bench):
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 2000})
    bench.add("slow", Kind.STRATEGY, SLOW, inputs=[Input("src", policy="latest")])
    await bench.open()
    bench.start("slow")
    await bench.ready("slow")
    bench.start("src")
    await bench.exhausted("src", "slow")
    report = bench.beat("slow").report
    for symbol in ("BTC", "DOGE"):
        seen = report[symbol]
        assert seen["seen"] + seen["skipped"] == 2000
        assert seen["last"] == "src:2000", "the newest one is never left out"
        assert seen["seen"] < 1000
    assert bench.flows("slow", "data") == {"BTC": (2000, 0), "DOGE": (2000, 0)}
    (told,) = [each for each in bench.beat("slow").conditions if each.type == "TicksSkipped"]
    assert str(sum(each["skipped"] for each in report.values())) in told.message


async def test_who_must_not_lose_a_tick_ends_where_one_is_lost(bench):
    bench.add("src", Kind.DATA_SOURCE, SILENT_SOURCE)
    bench.add("all", Kind.STRATEGY, SLOW, inputs=[Input("src")])
    bench.add("strict", Kind.STRATEGY, SLOW, inputs=[Input("src", policy="all-or-fail")])
    await bench.open()
    bench.start("all", "strict")
    await bench.ready("all", "strict")
    async with raw(bench, "src") as client:
        await client.publish("data.BTC", batch([tick(id="src:1")], seq=1))
        await client.publish("data.BTC", batch([tick(id="src:4")], seq=4))
        await client.flush()
        assert await bench.ended("strict") == 1
    told = bench.termination("strict")
    assert told.reason == "TicksLost"
    assert told.message == (
        "2 ticks of BTC from src were sent and never came, and the input's policy is all-or-fail;"
        " to go on without them write policy: all"
    )
    await bench.until(lambda: bench.flows("all", "data").get("BTC") == (2, 2))
    (told,) = [each for each in bench.beat("all").conditions if each.type == "TicksLost"]
    words = (
        "2 ticks were sent and never came, the last of BTC from src before 2024-08-08 12:00:00 UTC"
    )
    assert told.message == words
