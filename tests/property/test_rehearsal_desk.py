"""A rehearsal at a desk fills what the paper executor fills, however far the strategy runs ahead."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ntp import MarketData, StrategyPlugin, TradingSignal
from ntp.blocks import Blocks
from ntp.contract.launch import Trading
from ntp.contract.names import Kind
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.rehearsal import Rehearsal
from ntp.runner.core import border
from ntp.runner.core.objects import Maker
from ntp.runner.load import plugin_class

PAPER = Path(__file__).parents[2] / "plugin-images" / "paper-executor"
NOON = datetime(2024, 8, 8, 23, 58, tzinfo=UTC)
TRADING = Trading(short=True, pyramid=2, risk={"max_position": "900"})
CONFIG = {"latency_s": 1, "volume_share": 0.5, "equity_every_s": 7}


class Planned(StrategyPlugin):
    """Does at the nth tick that it sees what the plan says, and notes what it then holds."""

    seen: list

    def __init__(self, config):
        super().__init__(config)
        self.count = 0

    def analyze(self, data, history):
        plan = self.config["plan"]
        step = plan[self.count % len(plan)]
        self.count += 1
        self.seen.append((data.symbol, data.id, self.position(data.symbol), len(history)))
        if step is None:
            return None
        side, level = step
        stop = data.price * (1 - level if side == "BUY" else 1 + level)
        take = data.price * (1 + level if side == "BUY" else 1 - level)
        return TradingSignal(
            data.symbol, side, 1.0, data.price, size=1.0,
            stop_loss=stop if level else None, take_profit=take if level else None,
        )  # fmt: skip

    def on_fill(self, fill):
        self.seen.append((fill.id, fill.quantity))


class Across(Planned):
    per_symbol = False


def rehearsed(strategy, plan, blocks, *, at_desk):
    refusals = border.Refusals()
    samples = []
    desk = Desk("e", "test", TRADING, Costs.of(CONFIG), sample_s=7) if at_desk else None
    executor = plugin_class(PAPER, "paper_executor:PaperExecutor", Kind.EXECUTOR)
    one = Rehearsal(
        Maker(strategy, {"plan": plan}, instance="test"),
        refusals,
        indicators={},
        executor=None if at_desk else Maker(executor, CONFIG, instance="e"),
        trading=TRADING,
        history=10,
        bars=None,
        desk=desk,
    )
    strategy.seen = seen = []

    async def run():
        await one.start()
        cut = Blocks(blocks)
        for block in cut:
            await one.show(block)
        await one.show(cut.end())
        desk_of = next(iter(one.executor.all()))._desk if desk is None else desk
        samples.extend([desk_of.book.equity, desk_of.book.max_drawdown, desk_of.last_bucket])
        samples.extend([desk_of.day, desk_of.stale, desk_of.unusable, desk_of.refused])
        await one.finish()

    asyncio.run(run())
    messages = [(one.id, one.tick.id) for one in one.messages]
    return messages, one.fills, samples, {s: [n for n in seen if s in n[0]] for s in ("BTC", "ETH")}


STEP = st.none() | st.tuples(st.sampled_from(["BUY", "SELL"]), st.sampled_from([0, 0.01, 0.05]))
TICK = st.tuples(
    st.sampled_from(["BTC", "BTC", "BTC", "ETH"]),
    st.sampled_from([0, 0, 1, 1, 1, 3, 30, -2]),
    st.sampled_from([100.0, 101.0, 99.0, 104.0, 96.0, 1e15]),
)


LONG_HELD = [("BTC", 1, 100.0 - i % 5 * 10 + i / 10) for i in range(300)]
"""A position over many samples and a midnight."""


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([Planned, Across]),
    st.lists(STEP, min_size=1, max_size=12),
    st.lists(TICK, min_size=1, max_size=120),
    st.integers(1, 40),
)
@example(Planned, [("BUY", 0), *[None] * 400], LONG_HELD, 400)
def test_a_desk_fills_what_the_paper_executor_fills(strategy, plan, rows, size):
    at, ticks = NOON, []
    for number, (symbol, later, price) in enumerate(rows):
        at += timedelta(seconds=later)
        ticks.append(MarketData(at, symbol, price, 3.0, id=f"recording:{number}"))
    blocks = [ticks[i : i + size] for i in range(0, len(ticks), size)]
    at_desk = rehearsed(strategy, plan, blocks, at_desk=True)
    assert at_desk == rehearsed(strategy, plan, blocks, at_desk=False)
