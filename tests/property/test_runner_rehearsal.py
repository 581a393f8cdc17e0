"""The tester keeps the order that lanes bring about live, however messages raced."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from ntp import ExecutorPlugin, Fill, MarketData, PluginTester, StrategyPlugin, TradingSignal
from ntp.contract.launch import Listen, Trading
from ntp.contract.messages import DataBatch, FillReason, Side
from ntp.contract.names import Kind
from ntp.runner.core import border
from ntp.runner.core.edge import new_incarnation
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.intake import Intake
from ntp.runner.core.objects import Maker
from ntp.runner.core.strategy import StrategyWork

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
LIFE = new_incarnation(2000, "a")


class Thirds(StrategyPlugin):
    """Buys and sells by turns, on every third tick of a symbol."""

    def analyze(self, data, history):
        if len(history) % 3 == 2:
            side = "BUY" if len(history) % 2 else "SELL"
            return TradingSignal(data.symbol, side, 1.0, data.price, size=1.0)
        return None


class Noting(ExecutorPlugin):
    """Fills at the next tick of the symbol, and notes everything that it is shown."""

    def __init__(self, config):
        super().__init__(config)
        self.shown = config["shown"]
        self.waiting = {}

    def __deepcopy__(self, _):
        return self

    async def process_signal(self, signal):
        self.shown.append(("signal", signal.metadata["signal_id"]))
        self.waiting.setdefault(signal.symbol, []).append(signal)

    async def on_data(self, data):
        self.shown.append(("tick", data.symbol, data.id))
        return [
            Fill(
                id="fill:" + signal.metadata["signal_id"], signal_id=signal.metadata["signal_id"],
                executor="e", strategy=self.strategy, symbol=data.symbol,
                side=Side(signal.signal_type.lower()), quantity=Decimal(1),
                price=Decimal(str(data.price)), fee=Decimal(0), realised=Decimal(0),
                reason=FillReason.SIGNAL, time=data.timestamp, tick_id=data.id,
            )
            for signal in self.waiting.pop(data.symbol, [])
        ]  # fmt: skip


class Shown(list):
    def __deepcopy__(self, _):
        return self  # every object notes into the same list


def ticks(symbols):
    return [
        MarketData(NOON + timedelta(seconds=i), symbol, 100.0 + i, 1.0, id=f"recording:{i}")
        for i, symbol in enumerate(symbols)
    ]


def batches(everything, sizes):
    """Cut rows into the batches of a source: by symbol, in runs of these sizes."""
    seqs, at = {}, 0
    for size in [*sizes, len(everything)]:
        block, at = everything[at : at + size], at + size
        for symbol in dict.fromkeys(tick.symbol for tick in block):
            part = [tick for tick in block if tick.symbol == symbol]
            seq = seqs.get(symbol, 1)
            seqs[symbol] = seq + len(part)
            yield DataBatch("recording", LIFE, symbol, seq, part)
    for symbol, seq in seqs.items():
        yield DataBatch("recording", LIFE, symbol, seq, [], end=True)


async def live(everything, sizes, random):
    """Strategy and executor hear the same batches, each at a pace of its own."""
    shown, fills = Shown(), []
    refusals = border.Refusals()
    strategy = StrategyWork(
        Maker(Thirds, {}, instance="test"), incarnation="life", history=1000, trading=Trading(),
        refusals=refusals,
    )  # fmt: skip
    strategy.prepare()
    listen = Listen("test", Kind.STRATEGY, listens_to=["recording"], trading=Trading())
    executor = ExecutorWork(
        Maker(Noting, {"shown": shown}, instance="e"), [listen], refusals=refusals
    )
    executor.prepare()
    intakes = [Intake([Listen("recording", Kind.DATA_SOURCE)]) for _ in range(2)]
    to_strategy = list(batches(everything, sizes))
    to_executor = list(to_strategy)
    on_their_way = []
    while to_strategy or to_executor or on_their_way:
        step = random.choice(
            [name for name, waiting in (
                ("analyse", to_strategy), ("execute", to_executor), ("hear", on_their_way),
            ) if waiting]
        )  # fmt: skip
        if step == "analyse":
            for run in intakes[0].data(to_strategy.pop(0), 0.0):
                if run.lead.work is None:
                    await strategy.open(run.lead)
                strategy.feed(run, 0, math.inf)
                run.over()
            on_their_way += [payload for _, payload in strategy.made]
            strategy.made = []
            on_their_way += [border.encoded(one) for one in strategy.progress(intakes[0])]
        elif step == "execute":
            for run in intakes[1].data(to_executor.pop(0), 0.0):
                if run.lead.work is None:
                    await executor.open(run.lead)
                await executor.feed(run, 0, math.inf)
        else:
            await executor.heard("test", on_their_way.pop(0), "token")
        fills += [fill for outcome in executor.made for fill in outcome.fills]
        executor.made = []
    assert executor.ended
    assert refusals.count == 0
    return shown, fills


SYMBOLS = st.lists(st.sampled_from(["BTC", "ETH"]), min_size=1, max_size=60)


@settings(max_examples=80, deadline=None)
@given(SYMBOLS, st.lists(st.integers(1, 12), max_size=6), st.randoms(use_true_random=False))
def test_a_rehearsal_shows_each_symbol_what_live_shows_it(symbols, sizes, random):
    shown = Shown()
    result = PluginTester(Thirds, executor=Noting({"shown": shown})).run(ticks(symbols))
    live_shown, live_fills = asyncio.run(live(ticks(symbols), sizes, random))
    by_symbol = [
        [note for note in notes if symbol in note[1]]
        for symbol in ("BTC", "ETH")
        for notes in (shown, live_shown)
    ]
    assert by_symbol[0] == by_symbol[1]
    assert by_symbol[2] == by_symbol[3]
    assert {(f.id, f.tick_id) for f in result.fills} == {(f.id, f.tick_id) for f in live_fills}
