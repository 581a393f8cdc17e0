"""A pushed symbol list: taken by its difference, confirmed in the beat, refused without an end."""

import pytest

from ntp.contract.beat import Pushed, Stage
from ntp.contract.names import Kind
from tests.integration.runner.test_runner_flow import SOURCE

MARKET = """
    import asyncio
    from datetime import datetime, UTC
    from ntp import DataSourcePlugin, MarketData

    class Plugin(DataSourcePlugin):
        def __init__(self, config):
            super().__init__(config)
            self.calls, self.wanted = [], []

        def validate_config(self):
            if "NONE" in self.config["symbols"]:
                raise ValueError("NONE is no symbol")
            return True

        async def subscribe(self, symbols):
            self.calls.append(["subscribe", *symbols])
            self.wanted += symbols
            if "RAISES" in symbols:
                raise KeyError("no such market")
            return "REFUSED" not in symbols

        async def unsubscribe(self, symbols):
            self.calls.append(["unsubscribe", *symbols])
            if "HANGS" in symbols:
                await asyncio.Event().wait()
            self.wanted = [each for each in self.wanted if each not in symbols]
            return True

        async def stream(self):
            while True:
                for symbol in list(self.wanted):
                    yield MarketData(datetime.now(UTC), symbol, 1.0, 1.0)
                await asyncio.sleep(0.01)

        def report(self):
            return {"calls": self.calls, "config": self.config}
"""
LISTENER = """
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        last = {}

        def analyze(self, data, history):
            self.last = data.metadata["indicators"]

        def get_indicators(self):
            return self.last
"""
HALF = """
    from ntp import IndicatorPlugin

    class Plugin(IndicatorPlugin):
        def update(self, data):
            return data.price / 2
"""


async def market(bench, *symbols, **launch):
    bench.add(
        "src", Kind.DATA_SOURCE, MARKET, config={"symbols": list(symbols), "depth": 5}, **launch
    )
    bench.add("half", Kind.INDICATOR, HALF)
    bench.add("one", Kind.STRATEGY, LISTENER)
    await bench.open()
    bench.start()
    await bench.ready("src", "half", "one")


async def pushed(bench, generation, *symbols):
    """Push, and return the answer."""
    await bench.bus.control("src", {"generation": generation, "symbols": list(symbols)})
    await bench.until(
        lambda: bench.beat("src").pushed and bench.beat("src").pushed.generation == generation
    )
    return bench.beat("src").pushed


async def test_a_pushed_list_is_subscribed_to_by_its_difference_and_confirmed(bench):
    await market(bench, "BTC", "ETH")
    first = bench.beat("src")
    assert first.pushed is None
    assert await pushed(bench, 2, "ETH", "XRP") == Pushed(2)
    beat = bench.beat("src")
    assert beat.report["calls"] == [
        ["subscribe", "BTC", "ETH"],
        ["unsubscribe", "BTC"],
        ["subscribe", "XRP"],
    ]
    assert beat.report["config"] == {"symbols": ["ETH", "XRP"], "depth": 5}
    assert (beat.incarnation, beat.generation) == (first.incarnation, 1)
    await bench.until(lambda: bench.flows("one", "data").get("XRP", (0, 0))[0] > 3)
    assert bench.flows("one", "data")["XRP"][1] == 0, "heard from its first tick on"
    await bench.until(lambda: bench.beat("one").indicators.get("XRP") == {"half": 0.5})
    assert await bench.stop("src") == 0


async def test_the_same_again_an_older_one_and_nonsense_change_nothing(bench):
    await market(bench, "BTC")
    assert await pushed(bench, 3, "ETH") == Pushed(3)
    calls = bench.beat("src").report["calls"]
    for told in (
        {"generation": 3, "symbols": ["XRP"]},
        {"generation": 2, "symbols": ["XRP"]},
        {"generation": 1, "symbols": ["XRP"]},
        {"generation": 9},
        {"generation": 9, "symbols": 7},
    ):
        await bench.bus.control("src", told)
    await bench.until(lambda: bench.beat("src").refused == 1)
    assert (bench.beat("src").pushed, bench.beat("src").report["calls"]) == (Pushed(3), calls)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["BTC", "REFUSED"], "subscribe(['REFUSED']) returned False"),
        (["BTC", "HANGS", "RAISES"], "subscribe() raised KeyError: 'no such market'"),
        (["HANGS", "NONE"], "validate_config() raised ValueError: NONE is no symbol"),
        (["BTC"], "unsubscribe() took longer than 1 s"),
        (["HANGS", "BTC", ""], "symbol was ''; give 1 to 64 characters"),
    ],
)
async def test_what_is_not_taken_is_said_and_the_stream_goes_on(bench, wanted, words):
    symbols = ["BTC"] if "REFUSED" in wanted else ["HANGS", "BTC"]
    await market(bench, *symbols, timeout_s=1.0)
    assert words in (await pushed(bench, 2, *wanted)).refusal
    assert words in bench.log("src")
    if "validate_config" in words:
        assert bench.beat("src").report["config"]["symbols"] == symbols, "as it was"

    def heard():
        return bench.flows("one", "data").get("BTC", (0, 0))[0]

    count = heard()
    await bench.until(lambda: heard() > count)
    assert bench.stage("src") is Stage.READY


async def test_a_stream_that_has_ended_takes_nothing_new_and_may_lose_a_symbol(bench):
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 3, "symbols": ["BTC", "ETH"]})
    await bench.open()
    bench.start()
    await bench.exhausted("src")
    assert await pushed(bench, 2, "BTC") == Pushed(2)
    answer = await pushed(bench, 3, "BTC", "XRP")
    assert answer.refusal == "its stream has ended; only a new start brings XRP"
