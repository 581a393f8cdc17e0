"""A halt and other limits reach a running executor, whatever waits in its inbox, and it says so."""

import signal
from pathlib import Path

from ntp.contract.beat import Halted, Pushed
from ntp.contract.control import Halt
from ntp.contract.names import Kind

PAPER = Path(__file__).parents[3] / "plugin-images" / "paper-executor" / "paper_executor.py"
MARKET = """
    import asyncio
    from datetime import datetime, UTC
    from ntp import DataSourcePlugin, MarketData

    class Plugin(DataSourcePlugin):
        async def stream(self):
            number = 0
            while True:
                number += 1
                yield MarketData(datetime.now(UTC), "BTC", 100.0, 1.0, id=str(number))
                await asyncio.sleep(0.01)
"""
BUYER = """
    from ntp import SignalType, StrategyPlugin, TradingSignal

    class Plugin(StrategyPlugin):
        def analyze(self, data, history):
            return TradingSignal(data.symbol, SignalType.BUY, 0.5, data.price, size=1.0)
"""
DEAF = """
    from ntp import ExecutorPlugin

    class Plugin(ExecutorPlugin):
        async def process_signal(self, signal):
            return None
"""


async def desk(bench, tmp_path, *, executor=PAPER, entry="PaperExecutor", **launch):
    storage = tmp_path / "storage"
    storage.mkdir()
    bench.add("src", Kind.DATA_SOURCE, MARKET)
    bench.add("buyer", Kind.STRATEGY, BUYER)
    bench.add("ex", Kind.EXECUTOR, executor, entry=entry, storage=str(storage), **launch)
    await bench.open()
    bench.start()
    await bench.ready("src", "buyer", "ex")


def book(bench):
    beat = bench.beat("ex")
    return {} if beat is None else beat.report.get("buyer", {})


def conditions(bench):
    return {each.type: each.message for each in bench.beat("ex").conditions}


async def told(bench, number, **strategies):
    halt = {"number": number, "strategies": strategies, "why": "halted by hand"}
    await bench.bus.control("ex", {"generation": 0, "halt": halt})
    await bench.until(lambda: bench.beat("ex").halted.number == number)


async def test_a_halt_keeps_from_opening_and_its_end_lets_open_again(bench, tmp_path):
    await desk(bench, tmp_path, halt=Halt(1, {"buyer": False}))
    await bench.until(lambda: book(bench).get("refused", 0) > 5)
    assert bench.beat("ex").halted == Halted(1)
    assert conditions(bench) == {"Halted": "buyer: halted by hand; what closes is still filled"}
    assert book(bench)["positions"] == {}
    await told(bench, 2)
    await bench.until(lambda: book(bench)["positions"])
    assert conditions(bench) == {}
    older = {"number": 1, "strategies": {"buyer": True}}
    await bench.bus.control("ex", {"generation": 0, "halt": older})
    await told(bench, 3, buyer=False)
    assert book(bench)["positions"], "a halt closes nothing, and an older one is passed over"
    await told(bench, 4, buyer=True)
    await bench.until(lambda: not book(bench)["positions"])
    assert book(bench)["fills"] == 2


async def test_what_a_stuck_strategy_holds_is_flattened(bench, tmp_path):
    await desk(bench, tmp_path)
    await bench.until(lambda: book(bench).get("positions"))
    bench.processes["buyer"].send_signal(signal.SIGSTOP)
    await told(bench, 1, buyer=True)
    await bench.until(lambda: not book(bench)["positions"])


async def test_other_limits_hold_from_the_next_signal_on(bench, tmp_path):
    await desk(bench, tmp_path, risk={"max_position": "50"})
    await bench.until(lambda: book(bench).get("refused", 0) > 5)
    words = "buyer: all strategies of ex: max_position is 50 and 100 of BTC would be held"
    assert conditions(bench)["RiskLimit"].startswith(words)
    limits = {"own": {}, "strategies": {"buyer": {"max_position": "100"}}}
    await bench.bus.control("ex", {"generation": 2, "limits": limits})
    await bench.until(lambda: book(bench)["positions"])
    assert bench.beat("ex").pushed == Pushed(2)
    wrong = {"own": {"max_position": "-1"}, "strategies": {}}
    await bench.bus.control("ex", {"generation": 3, "limits": wrong})
    await bench.until(lambda: bench.beat("ex").pushed.generation == 3)
    assert "give an amount above 0" in bench.beat("ex").pushed.refusal


async def test_a_class_that_knows_no_halts_says_so(bench, tmp_path):
    await desk(bench, tmp_path, executor=DEAF, entry="Plugin")
    await told(bench, 1, buyer=False)
    assert bench.beat("ex").halted.refusal == "buyer: its class has no on_halt(); stop it instead"
    await bench.bus.control("ex", {"generation": 2, "limits": {"own": {"max_position": "5"}}})
    await bench.until(lambda: bench.beat("ex").pushed)
    assert bench.beat("ex").pushed == Pushed(2, "its class has no on_limits()")


async def test_limits_for_a_class_that_keeps_none_are_refused_at_its_start(bench, tmp_path):
    bench.add("src", Kind.DATA_SOURCE, MARKET)
    bench.add("buyer", Kind.STRATEGY, BUYER)
    bench.add("ex", Kind.EXECUTOR, DEAF, risk={"max_position": "5"})
    await bench.open()
    bench.start("ex")
    assert await bench.ended("ex") == 2
    end = bench.termination("ex")
    assert (end.reason, end.permanent) == ("ConfigRefused", True)
    assert end.message.startswith("`risk` is set, and its class has no on_limits()")
