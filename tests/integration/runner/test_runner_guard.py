"""No callback hangs for ever, and what a plugin must not say is not said."""

import pytest

from ntp.contract.beat import Stage
from ntp.contract.launch import TERMINATION_FILE
from ntp.contract.names import Kind
from tests.integration.runner.test_runner_flow import SOURCE

HANGING = """
    import time
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        def analyze(self, data, history):
            if len(history) == 5:
                the_line_that_hangs()

    def the_line_that_hangs():
        while True:
            time.sleep(0.01)
"""


async def test_a_blocking_callback_is_ended_and_its_line_is_known(bench):
    bench.add("src", Kind.DATA_SOURCE, SOURCE)
    bench.add("one", Kind.STRATEGY, HANGING, timeout_s=1.0)
    await bench.open()
    bench.start("one")
    await bench.ready("one")
    bench.start("src")
    assert await bench.ended("one") == 1
    dump = (bench.place("one") / TERMINATION_FILE).read_text()
    assert dump.startswith("Timeout (")
    assert "in the_line_that_hangs" in dump
    assert 'written.py", line 12' in dump


SLOW = {
    "initialize": """
        import asyncio
        from ntp import StrategyPlugin

        class Plugin(StrategyPlugin):
            async def initialize(self): await asyncio.sleep(3600)
            def analyze(self, data, history): pass
    """,
    "connect": """
        import asyncio
        from ntp import DataSourcePlugin

        class Plugin(DataSourcePlugin):
            async def connect(self): await asyncio.sleep(3600)
            async def stream(self): yield
    """,
    "on_data": """
        import asyncio
        from ntp import ExecutorPlugin

        class Plugin(ExecutorPlugin):
            async def on_data(self, data): await asyncio.sleep(3600)
            async def process_signal(self, signal): pass
    """,
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.STRATEGY, "initialize"),
        (Kind.DATA_SOURCE, "connect"),
        (Kind.EXECUTOR, "on_data"),
    ],
)
async def test_an_awaiting_callback_has_a_deadline(bench, kind, name):
    bench.add("one", kind, SLOW[name], timeout_s=1.0)
    if kind is Kind.EXECUTOR:
        bench.add("src", Kind.DATA_SOURCE, SOURCE)
        bench.add("idle", Kind.STRATEGY, HANGING.replace("== 5", "== -1"))
    await bench.open()
    bench.start("one")
    if kind is Kind.EXECUTOR:
        bench.start("idle")
        await bench.ready("one", "idle")
        bench.start("src")
    assert await bench.ended("one") == 1
    end = bench.termination("one")
    assert (end.reason, end.permanent) == ("CallbackTimeout", False)
    assert end.message.startswith(f"{name}() took longer than 1 s")


RAISING = """
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        def analyze(self, data, history):
            if len(history) == 5:
                raise KeyError("no such level")
"""


async def test_what_a_callback_raises_ends_it_with_the_line(bench):
    bench.add("src", Kind.DATA_SOURCE, SOURCE)
    bench.add("one", Kind.STRATEGY, RAISING)
    await bench.open()
    bench.start("one")
    await bench.ready("one")
    bench.start("src")
    assert await bench.ended("one") == 1
    end = bench.termination("one")
    assert end.reason == "PluginRaised"
    assert end.message == "KeyError: 'no such level' (written.py:7)"
    assert "Traceback" in bench.log("one")


WRONG = """
    from ntp import StrategyPlugin, TradingSignal

    class Plugin(StrategyPlugin):
        def analyze(self, data, history):
            say = {0: float("nan"), 1: float("inf"), 2: 100.0}.get(len(history))
            if say is not None:
                return TradingSignal(data.symbol, "BUY", 1.0, say)
            if len(history) == 3:
                return TradingSignal(data.symbol, "BUY", 1.5, 100.0)
            if len(history) == 4:
                return "BUY"
"""


async def test_what_must_not_be_said_is_counted_and_shown(bench):
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 20})
    bench.add("one", Kind.STRATEGY, WRONG)
    await bench.open()
    bench.start("one")
    await bench.ready("one")
    bench.start("src")
    await bench.exhausted("one")
    beat = bench.beat("one")
    assert beat.refused == 8
    assert beat.last_refusal == "analyze() returned str; give a TradingSignal or None"
    assert bench.flows("one", "signal", sent=True) == {"BTC": (1, 0), "DOGE": (1, 0)}


ENDING = """
    from datetime import datetime
    from ntp import DataSourcePlugin, MarketData

    class Plugin(DataSourcePlugin):
        async def stream(self):
            yield MarketData(datetime.now(), "BTC", 1.0, 1.0)
"""


async def test_a_market_that_ends_is_a_failure(bench):
    bench.add("src", Kind.DATA_SOURCE, ENDING)
    await bench.open()
    bench.start()
    assert await bench.ended("src") == 1
    end = bench.termination("src")
    assert (end.reason, end.permanent) == ("StreamEnded", False)
    assert "finite = True" in end.message


@pytest.mark.parametrize("method", ["connect", "subscribe"])
async def test_a_source_that_says_no_is_a_failure(bench, method):
    code = ENDING + f"\n        async def {method}(self, *_): return False\n"
    bench.add("src", Kind.DATA_SOURCE, code, config={"symbols": ["BTC"]})
    await bench.open()
    bench.start()
    assert await bench.ended("src") == 1
    assert bench.termination("src").reason == f"{method.capitalize()}Failed"


WAITING = """
    import asyncio
    from datetime import datetime
    from ntp import DataSourcePlugin, MarketData

    class Plugin(DataSourcePlugin):
        async def initialize(self): self.calls = []
        async def connect(self): self.calls.append("connect")
        async def subscribe(self, symbols): self.calls.append(["subscribe", *symbols])
        async def unsubscribe(self, symbols): print("unsubscribe", symbols)
        async def disconnect(self): print("disconnect")
        async def shutdown(self): print("shutdown", flush=True)

        async def stream(self):
            try:
                yield MarketData(datetime.now(), "BTC", 1.0, 1.0)
                await asyncio.Event().wait()
            finally:
                print("closed")

        def report(self): return {"calls": self.calls}
"""


async def test_a_source_is_called_in_the_order_that_its_author_expects(bench):
    bench.add("src", Kind.DATA_SOURCE, WAITING, config={"symbols": ["BTC", "ETH"]})
    await bench.open()
    bench.start()
    await bench.until(
        lambda: bench.stage("src") and bench.flows("src", "data", sent=True).get("BTC") == (1, 0)
    )
    assert bench.beat("src").report == {"calls": ["connect", ["subscribe", "BTC", "ETH"]]}
    assert await bench.stop("src") == 0
    said = [line for line in bench.log("src").splitlines() if not line.startswith("ntp:")]
    assert said == ["closed", "unsubscribe ['BTC', 'ETH']", "disconnect", "shutdown"]
    await bench.until(lambda: bench.stage("src") is Stage.DRAINING)


async def test_an_import_that_hangs_is_ended_too(bench):
    bench.add("one", Kind.STRATEGY, "    import time\n    time.sleep(3600)", timeout_s=1.0)
    await bench.open()
    bench.start()
    assert await bench.ended("one") == 1
    dump = (bench.place("one") / TERMINATION_FILE).read_text()
    assert dump.startswith("Timeout (")
    assert 'written.py", line 2' in dump


async def test_a_stop_that_takes_longer_than_its_grace_says_what_is_left(bench):
    slow = RAISING.replace("if len(history) == 5:", "import time; time.sleep(0.2)").replace(
        'raise KeyError("no such level")', ""
    )
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 100})
    bench.add("one", Kind.STRATEGY, slow, grace_s=1.0)
    await bench.open()
    bench.start("one")
    await bench.ready("one")
    bench.start("src")
    await bench.exhausted("src")
    assert await bench.stop("one") == 0
    assert "the grace of 1 s was too short" in bench.log("one")


@pytest.mark.parametrize(
    ("call", "code", "reason", "words"),
    [
        ("exit(137)", 137, "Exited", "sys.exit(137) (written.py:7)"),
        ("exit()", 0, "ExitedZero", "sys.exit() (written.py:7); a plugin runs until"),
        ("exit('no licence')", 1, "Exited", "sys.exit('no licence') (written.py:7)"),
    ],
)
async def test_a_plugin_that_ends_its_process_is_told_by_the_line(bench, call, code, reason, words):
    bench.add("src", Kind.DATA_SOURCE, SOURCE)
    ending = RAISING.replace('raise KeyError("no such level")', f"__import__('sys').{call}")
    bench.add("one", Kind.STRATEGY, ending)
    await bench.open()
    bench.start("one")
    await bench.ready("one")
    bench.start("src")
    assert await bench.ended("one") == code
    end = bench.termination("one")
    assert (end.reason, end.permanent) == (reason, False)
    assert end.message.startswith(words)
