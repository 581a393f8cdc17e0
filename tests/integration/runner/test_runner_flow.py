"""A source, a strategy and an executor as processes: what goes in comes out, once and in order."""

import json
from pathlib import Path

from ntp.contract.names import Kind
from tests.integration.runner.conftest import written

FIXTURES = Path(__file__).parents[2] / "fixtures" / "plugins"

SOURCE = """
    import math
    from datetime import UTC, datetime, timedelta
    from ntp import DataSourcePlugin, MarketData

    class Plugin(DataSourcePlugin):
        finite = True

        async def stream(self):
            start = datetime(2024, 8, 8, tzinfo=UTC)
            for i in range(self.config.get("count", 1000)):
                for symbol, scale in (("BTC", 60000.0), ("DOGE", 3.0)):
                    jump = 0.05 if i % 37 == 0 else -0.05 if i % 41 == 0 else 0.0
                    price = scale * (1 + 0.01 * math.sin(i / 7) + jump)
                    yield MarketData(start + timedelta(seconds=i), symbol, price, 1.0)
"""

EXECUTOR = """
    import json
    from decimal import Decimal
    from ntp import ExecutorPlugin, Fill
    from ntp.contract.messages import FillReason, Side

    class Plugin(ExecutorPlugin):
        def __init__(self, config):
            super().__init__(config)
            self.waiting = {}
            self.notes = open(config["notes"], "a")

        def note(self, **what):
            self.notes.write(json.dumps(what) + "\\n")
            self.notes.flush()

        async def process_signal(self, signal):
            self.note(signal=signal.metadata["signal_id"], strategy=self.strategy,
                      tick=signal.metadata["tick_id"], type=signal.signal_type, size=signal.size)
            self.waiting.setdefault(signal.symbol, []).append(signal)

        async def on_data(self, data):
            fills = []
            for signal in self.waiting.pop(data.symbol, []):
                self.note(fill=signal.metadata["signal_id"], at=data.id)
                fills.append(Fill(
                    id="fill:" + signal.metadata["signal_id"],
                    signal_id=signal.metadata["signal_id"], executor=self.instance,
                    strategy=self.strategy, symbol=data.symbol,
                    side=Side.BUY if signal.signal_type == "BUY" else Side.SELL,
                    quantity=Decimal(str(round(signal.size, 8))), price=Decimal(str(data.price)),
                    fee=Decimal(0), realised=Decimal(0), reason=FillReason.SIGNAL,
                    time=data.timestamp, tick_id=data.id))
            return fills

        async def finish(self):
            self.note(finished=True)

        def report(self):
            return {"waiting": sum(map(len, self.waiting.values()))}
"""


async def test_the_authors_strategy_trades_two_symbols_on_paper(bench, tmp_path):
    notes = tmp_path / "notes"
    bench.add("src", Kind.DATA_SOURCE, SOURCE)
    bench.add(
        "bollinger",
        Kind.STRATEGY,
        FIXTURES / "user_bollinger.py",
        entry="BollingerBandsStrategy",
        config={"period": 20},
    )
    bench.add("paper", Kind.EXECUTOR, EXECUTOR, config={"notes": str(notes)})
    await bench.open()
    bench.start("bollinger", "paper")
    await bench.ready("bollinger", "paper")
    bench.start("src")
    await bench.exhausted("src", "bollinger", "paper")
    assert bench.flows("src", "data", sent=True) == {"BTC": (1000, 0), "DOGE": (1000, 0)}
    assert bench.flows("bollinger", "data") == {"BTC": (1000, 0), "DOGE": (1000, 0)}
    assert bench.flows("paper", "data") == {"BTC": (1000, 0), "DOGE": (1000, 0)}
    made = sum(count for count, _ in bench.flows("bollinger", "signal", sent=True).values())
    noted = written(notes)
    signals = [one for one in noted if "signal" in one]
    fills = [one for one in noted if "fill" in one]
    assert made == len(signals) == len({one["signal"] for one in signals}) > 50
    assert noted[-1] == {"finished": True}
    latest, last = bench.beat("bollinger").signal, signals[-1]
    assert latest.size == last["size"]
    assert (latest.symbol, latest.signal_type) == (last["signal"].split(":")[1], last["type"])
    assert latest.time < latest.at <= bench.beat("bollinger").at
    assert bench.beat("src").signal is None
    # Each order was filled at the next tick of its symbol, whatever the timing was.
    for signal in signals:
        row = int(signal["tick"].partition(":")[2])
        filled = [fill for fill in fills if fill["fill"] == signal["signal"]]
        assert [fill["at"] for fill in filled] == ([f"src:{row + 1}"] if row < 1000 else [])
    await bench.until(
        lambda: sum(count for count, _ in bench.flows("bollinger", "fill").values()) == len(fills)
    )
    for name in ("src", "bollinger", "paper"):
        assert await bench.stop(name) == 0, bench.log(name)
    assert json.dumps(noted)
