"""A plugin that speaks to the bus past its runner harms nobody who listens to it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.client import Client

from ntp.contract.names import Kind
from ntp.contract.subjects import token
from orchestrator.spec.model import Input

SILENT_SOURCE = """
    import asyncio
    from ntp import DataSourcePlugin

    class Plugin(DataSourcePlugin):
        async def stream(self):
            await asyncio.sleep(3600)
            yield
"""
SILENT_STRATEGY = """
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        seen = None

        def analyze(self, data, history): self.seen = data.metadata.get("indicators")
        def report(self): return {"seen": self.seen}
"""
SILENT_INDICATOR = """
    from ntp import IndicatorPlugin

    class Plugin(IndicatorPlugin):
        def update(self, data): return 1.0
"""
NOTING_EXECUTOR = """
    from ntp import ExecutorPlugin

    class Plugin(ExecutorPlugin):
        seen = 0
        prices = {}

        async def process_signal(self, signal):
            self.seen += 1

        async def on_data(self, data):
            self.prices[data.symbol] = data.price

        def report(self):
            return {"signals": self.seen, "prices": dict(self.prices)}
"""


@pytest.fixture
async def market(bench):
    """Two sources, an indicator, a strategy of ticks and of bars, an executor."""
    bench.add("src", Kind.DATA_SOURCE, SILENT_SOURCE)
    bench.add("other", Kind.DATA_SOURCE, SILENT_SOURCE)
    bench.add("ind", Kind.INDICATOR, SILENT_INDICATOR, inputs=[Input("src")])
    inputs = [Input("src"), Input("src", bars="1d"), Input("ind")]
    bench.add("one", Kind.STRATEGY, SILENT_STRATEGY, inputs=inputs, indicator_wait_s=0.1)
    bench.add("two", Kind.STRATEGY, SILENT_STRATEGY, inputs=[Input("src", ("BTC",))])
    bench.add("paper", Kind.EXECUTOR, NOTING_EXECUTOR)
    await bench.open()
    bench.start()
    await bench.ready("src", "other", "ind", "one", "two", "paper")
    return bench


@asynccontextmanager
async def raw(bench, name: str) -> AsyncIterator[Client]:
    """Connect with the credential of `name`, and with nothing of the SDK."""
    file = bench.folder / f"{name}.creds"
    file.write_bytes(bench.broker.credentials(name))
    client = Client()
    await client.connect(f"nats://{bench.broker.address()}", user_credentials=str(file))
    try:
        yield client
    finally:
        await client.close()


def tick(**change) -> list:
    fields = {"time": "2024-08-08T12:00:00Z", "symbol": "BTC", "price": 1.0, "metadata": {}}
    given = {**fields, "id": "src:1", **change}
    return [
        given["time"],
        given["symbol"],
        given["price"],
        1.0,
        None,
        None,
        given["metadata"],
        given["id"],
    ]


def batch(ticks: list, *, seq: object = 1, symbol: str = "BTC", life: str = "x") -> bytes:
    message = {"source": "src", "incarnation": life, "symbol": symbol, "seq": seq, "ticks": ticks}
    return json.dumps(message).encode()


DEEP = b"[" * 20_000 + b"]" * 20_000
POISON = {
    "no text": b'{"source": "\xff"}',
    "nested deeply": batch([tick(metadata={"a": 0})]).replace(b'"a": 0', b'"a": ' + DEEP),
    "at the end of time": batch([tick(time="9999-12-31T23:59:59Z")]),
    "an endless number": batch([tick()], seq=10**400),
    "a symbol of four thousand": batch([tick(symbol="B" * 3000)], symbol="B" * 3000),
    "an id over lines": batch([tick(id="a\r\nNats-Rollup: all\r\n")]),
    "a tick of another symbol": batch([tick(symbol="ETH", price=666.0)]),
}


@pytest.mark.parametrize("what", POISON)
async def test_what_no_runner_would_send_is_refused_counted_and_ends_nobody(market, what):
    payload = POISON[what]
    symbol = "B" * 3000 if "four thousand" in what else "BTC"
    listeners = ("ind", "one", "paper") if len(symbol) > 9 else ("ind", "one", "two", "paper")
    async with raw(market, "src") as client:
        await client.publish(f"data.{token(symbol)}", payload)
        await client.publish("data.BTC", batch([tick(price=7.0)], life="y"))
        await client.flush()
    for name in listeners:
        await market.until(lambda n=name: market.beat(n).refused == 1)
        assert market.processes[name].poll() is None
    await market.until(lambda: market.flows("two", "data") == {"BTC": (1, 0)})
    assert all(market.processes[name].poll() is None for name in listeners)


@pytest.mark.parametrize("written", [None, 5, [], {"ind": 99.0, "forged": 1.0}])
async def test_what_a_source_writes_where_indicator_values_belong_is_none(market, written):
    async with raw(market, "src") as client:
        await client.publish("data.BTC", batch([tick(metadata={"indicators": written})]))
        again = tick(id="src:2", metadata={"indicators": written})
        await client.publish("data.BTC", batch([again], seq=2))
        await client.flush()
    await market.until(lambda: market.flows("one", "data") == {"BTC": (2, 0)})
    seen = await market.until(lambda: market.beat("one").report.get("BTC"))
    assert seen["seen"] == {"ind": 1.0}


@pytest.mark.parametrize(
    "payload", [b'{"type": "\xff"}', b'{"type": "progress", "x": ' + DEEP + b"}"]
)
async def test_a_signal_that_cannot_be_read_does_not_come_again_for_ever(market, payload):
    async with raw(market, "two") as client:
        await client.publish("sig.BTC", payload)
        await client.flush()
    await market.until(lambda: market.beat("paper").refused == 1)
    assert market.processes["paper"].poll() is None
