"""Dropped at every tick of a recording, and restored from what was kept: the same signals and fills.

The real engine, in one process: an indicator, a strategy and an executor as their runners drive them. What
a life leaves is what the bus keeps, and the ledger; nothing else outlives it.
"""

import asyncio
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bollinger_strategy import BollingerStrategy
from momentum_strategy import MomentumStrategy
from paper_executor import PaperExecutor
from rsi_indicator import RsiIndicator

from ntp import MarketData, PluginTester
from ntp.contract.launch import Listen, Trading
from ntp.contract.messages import DataBatch, Fill, IndicatorBatch, SignalMessage
from ntp.contract.names import Kind
from ntp.runner.core import border
from ntp.runner.core.edge import new_incarnation
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.indicator import IndicatorWork
from ntp.runner.core.intake import Intake
from ntp.runner.core.kept import Kept
from ntp.runner.core.lead import Run
from ntp.runner.core.objects import Maker, snapshots
from ntp.runner.core.strategy import StrategyWork
from tests.worlds.market import recording

SOURCE, RSI, STRATEGY, PAPER = "recording", "rsi_indicator", "test", "executor"
LIFE = new_incarnation(1000, "source")
STREAM = Listen(SOURCE, Kind.DATA_SOURCE)
VALUES = Listen(RSI, Kind.INDICATOR, listens_to=[SOURCE])
SIGNALS = Listen(STRATEGY, Kind.STRATEGY, listens_to=[SOURCE], trading=Trading())


def over_the_bus(kept: Kept) -> Kept:
    return msgspec.json.decode(msgspec.json.encode(kept), type=Kept)


def joined(intake: Intake, maker: Maker[Any], kept: Kept) -> Intake:
    """Have a life begin where the last one was."""
    intake.listening_ms = 0
    intake.resume(kept.marks)
    maker.kept = kept.objects
    return intake


async def opened(work: Any, runs: Iterable[Run]) -> list[Run]:
    runs = list(runs)
    for run in runs:
        if run.lead.work is None:
            await work.open(run.lead)
    return runs


class Chain:
    """What is kept of three plugins between their lives."""

    def __init__(self, strategy: type, folder: Path, refusals: border.Refusals) -> None:
        self._strategy = strategy
        self._folder = folder
        self._refusals = refusals
        self._kept = {name: Kept() for name in (RSI, STRATEGY, PAPER)}
        self.signals: list[SignalMessage] = []
        self.fills: list[Fill] = []

    async def live(self, number: int, batches: Iterable[DataBatch]) -> None:
        """Lead one life of each, which ends without a word after these batches."""
        incarnation = new_incarnation(2000 + number, "life")
        rsi = Maker(RsiIndicator, {}, instance=RSI)
        gauge = IndicatorWork(rsi, incarnation=incarnation, refusals=self._refusals)
        measured = joined(Intake([STREAM]), rsi, self._kept[RSI])
        gauge.prepare()
        await gauge.start()

        maker = Maker(self._strategy, {}, instance=STRATEGY)
        work = StrategyWork(
            maker, incarnation=incarnation, history=1000, trading=Trading(), refusals=self._refusals
        )
        analysed = joined(Intake([STREAM, VALUES]), maker, self._kept[STRATEGY])
        work.prepare()
        work.holdings.resume(self._kept[STRATEGY].positions, self._kept[STRATEGY].fills)
        await work.start()

        papers = Maker(
            PaperExecutor, {}, instance=PAPER, storage=self._folder, storage_bytes=1 << 30
        )
        paper = ExecutorWork(papers, [SIGNALS], refusals=self._refusals)
        executed = joined(Intake([STREAM]), papers, self._kept[PAPER])
        paper.prepare()
        paper.begin_at(self._kept[PAPER].lanes)
        await paper.start()

        for batch in batches:
            for run in await opened(gauge, measured.data(batch, 0.0)):
                gauge.feed(run, 0, math.inf)
                run.over()
            values: list[IndicatorBatch] = [one for one, _ in gauge.made]
            gauge.made = []
            runs = [run for one in values for run in analysed.values(one)]
            for run in await opened(work, [*runs, *analysed.data(batch, 0.0)]):
                work.feed(run, 0, math.inf)
                run.over()
            for run in await opened(paper, executed.data(batch, 0.0)):
                await paper.feed(run, 0, math.inf)
                run.over()
            self.signals += [message for message, _ in work.made]
            said = [payload for _, payload in work.made]
            work.made = []
            for payload in [*said, *map(border.encoded, work.progress(analysed))]:
                await paper.heard(STRATEGY, payload, None)
            for fill in [fill for outcome in paper.made for fill in outcome.fills]:
                # A life tells the last ones again; a strategy counts each once.
                if await work.fill(fill):
                    self.fills.append(fill)
            paper.made = []

        stands = await paper.stands(executed)
        positions, fills = work.holdings.kept()
        # What no tick has brought back is kept for the next life.
        gauges = {**self._kept[RSI].objects, **_states(gauge)}
        objects = {**self._kept[STRATEGY].objects, **snapshots(work.objects)}
        self._kept = {
            RSI: over_the_bus(Kept(gauges, measured.marks())),
            STRATEGY: over_the_bus(Kept(objects, analysed.marks(), positions, fills)),
            PAPER: over_the_bus(Kept(marks=stands.marks, lanes=stands.lanes)),
        }
        # Nobody says good-bye; but what the process held is gone, its files too.
        for one in paper.all():
            await one.shutdown()


def _states(gauge: IndicatorWork) -> dict[str, dict[str, Any]]:
    return snapshots({"/".join(key): one for key, one in gauge.objects.items()})


def batches(ticks: list[MarketData], size: int) -> Iterable[list[DataBatch]]:
    """Yield what comes in each life: `size` ticks, by symbol."""
    seqs: dict[str, int] = {}
    for at in range(0, len(ticks), size):
        parts: dict[str, list[MarketData]] = {}
        for tick in ticks[at : at + size]:
            parts.setdefault(tick.symbol, []).append(tick)
        lives = []
        for symbol, some in parts.items():
            seq = seqs.get(symbol, 1)
            seqs[symbol] = seq + len(some)
            lives.append(DataBatch(SOURCE, LIFE, symbol, seq, some))
        yield lives


def by_symbol(rows: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for symbol, row in rows:
        found.setdefault(symbol, []).append(row)
    return found


def told(messages: Iterable[SignalMessage]) -> dict[str, list[Any]]:
    return by_symbol(
        (each.signal.symbol, (each.id, each.tick.id, each.signal)) for each in messages
    )


def executed(fills: Iterable[Fill]) -> dict[str, list[Any]]:
    return by_symbol((each.symbol, each) for each in fills)


async def check(
    strategy: type, folder: Path, ticks: list[MarketData], again: list[MarketData]
) -> None:
    tester = PluginTester(
        strategy({}), indicators={RSI: RsiIndicator({})}, executor=PaperExecutor({})
    )
    undisturbed = await tester.run_async(again)
    refusals = border.Refusals()
    chain = Chain(strategy, folder, refusals)
    for number, some in enumerate(batches(ticks, 1)):
        await chain.live(number, some)
    assert refusals.count == 0
    assert told(chain.signals) == told(undisturbed.messages)
    assert executed(chain.fills) == executed(undisturbed.fills)
    assert len(chain.fills) > len(ticks) // 400, "there was something to lose"


@pytest.mark.parametrize("strategy", [BollingerStrategy, MomentumStrategy])
@pytest.mark.parametrize("count", [1500, pytest.param(None, marks=pytest.mark.long, id="all")])
def test_dropped_at_every_tick(strategy, count, tmp_path):
    asyncio.run(check(strategy, tmp_path, recording()[:count], recording()[:count]))
