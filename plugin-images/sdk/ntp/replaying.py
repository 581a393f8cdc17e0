"""Replay a recorded period: `python -m ntp.replaying ORDER`, inside a sandbox only.

It imports a strategy, its indicators and its executor into one process, so it runs whatever they are.
The answer is one JSON document on the standard output; what plugins print goes to standard error.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from ntp.blocks import LIFE, SOURCE, Blocks, cut
from ntp.captured_feeds import CapturedFeeds
from ntp.contract.launch import LaunchFile, Listen
from ntp.contract.messages import DataBatch, MarketData
from ntp.contract.names import Kind
from ntp.contract.replay import ReplayAnswer, ReplayedRow, ReplayOrder
from ntp.layouts import LayoutError, open_files
from ntp.record import Record
from ntp.rehearsal import Meter, Rehearsal
from ntp.replay import Replay, begins_at
from ntp.replay_caveats import caveats
from ntp.runner.core import border
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.intake import Intake, decode_data
from ntp.runner.core.objects import ConfigRefusedError, Maker
from ntp.runner.core.strategy import StrategyWork
from ntp.runner.core.tick_ids import Identify
from ntp.runner.ending import EndError
from ntp.runner.load import plugin_class

SHOWN = 5  # rows of a table that differ
_EVERY = 500
"""Batches, or pieces of an order, between two words of progress."""


class _RefusedError(Exception):
    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


async def replay(order: ReplayOrder) -> ReplayAnswer:
    """Return how it went; what stands in the way is in the answer too."""
    one = _Replaying(order)
    try:
        return await (one.told() if order.ledger is None else one.compared(Path(order.ledger)))
    except _RefusedError as error:
        return ReplayAnswer(refused=str(error), fix=error.fix)
    except EndError as error:
        return ReplayAnswer(refused=str(error), fix="`ntpctl status` says whether it runs")
    except ConfigRefusedError as error:
        return ReplayAnswer(refused=str(error), fix="give a config that its plugin takes")


class _Replaying:
    def __init__(self, order: ReplayOrder) -> None:
        self._order = order
        self._refusals = border.Refusals()

    async def compared(self, ledger: Path) -> ReplayAnswer:
        """Do what was done live once more, and compare the ledgers."""
        order = self._order
        record = self._record(ledger)
        feeds = CapturedFeeds(
            order.strategy.inputs, [await self._meter(i) for i in order.indicators]
        )
        for batch in self._batches():
            await feeds.take(batch)
        feeds.end()
        pieces = record.pieces()
        index, why = begins_at(pieces, feeds, order.strategy.history)
        if index is None:
            raise _RefusedError(
                f"what {order.strategy.instance} did cannot be replayed: {why}",
                "replay sooner, for the bus keeps 24 hours and 32 MiB of each source; or feed a"
                " recording: --data FILE",
            )
        begin = pieces[index].number
        again = Path(order.folder) / ledger.name
        held = record.rewind(begin, again)
        strategy = self._strategy()
        strategy.holdings.resume(held.positions, held.fills)
        await strategy.start()
        executor = self._executor()
        await executor.start()
        replayed = Replay(strategy, executor, feeds, record.signals(begin), record.noticed())
        await replayed.begin(pieces[index:])
        for done, piece in enumerate(pieces[index:]):
            self._say(done, len(pieces) - index)
            await replayed.follow(piece)
        told = replayed.finish()
        report = executor.report()
        await _end(strategy, executor)
        found = record.compare(begin, again, SHOWN)
        return ReplayAnswer(
            ticks=told.ticks,
            signals=told.signals,
            fills=told.fills,
            rows=sum(new for _, new in found.rows.values()),
            begins=why,
            differing=dict(found.differing),
            differences=[
                ReplayedRow(each.table, each.row, _plain(each.live), _plain(each.replayed))
                for each in found.differences
            ],
            missing=told.missing,
            unmade=told.unmade,
            extras=told.extras,
            extra=told.extra,
            caveats=caveats(strategy, order.strategy.inputs, order.executor, len(feeds.all)),
            report=_report(report),
        )

    async def told(self) -> ReplayAnswer:
        """Feed a period to a strategy that begins with it, in the order of event time."""
        order = self._order
        bars = {one.bars for one in order.strategy.inputs if one.kind is Kind.DATA_SOURCE}
        if len(bars) > 1:
            raise _RefusedError(
                f"{order.strategy.instance} hears several lengths of bars, {_words(bars)}",
                "give all its inputs one",
            )
        rehearsal = Rehearsal(
            self._maker(order.strategy),
            self._refusals,
            indicators={each.instance: self._maker(each) for each in order.indicators},
            executor=self._maker(order.executor, Path(order.folder)),
            trading=order.strategy.trading,
            history=order.strategy.history,
            bars=next(iter(bars), None),
        )
        await rehearsal.start()
        blocks = Blocks(cut(self._ticks()))
        for block in blocks:
            await rehearsal.show(block)
            self._say(blocks.count, 0)
        await rehearsal.show(blocks.end())
        report = rehearsal.executor.report() if rehearsal.executor is not None else {}
        await rehearsal.finish()
        if not blocks.count:
            raise _RefusedError(
                "no tick lies in that period", "look at --from and --to, and at --data"
            )
        return ReplayAnswer(
            ticks=blocks.count,
            signals=len(rehearsal.messages),
            fills=len(rehearsal.fills),
            report=_report(report),
        )

    def _record(self, ledger: Path) -> Record:
        launch = self._order.executor
        found = getattr(self._class(launch), "record", None)
        if found is None:
            raise _RefusedError(
                f"the plugin {launch.plugin} of {launch.instance} keeps no record to replay",
                "name a strategy that a paper_executor executes",
            )
        record: Record = found(ledger)
        return record

    def _strategy(self) -> StrategyWork:
        launch = self._order.strategy
        work = StrategyWork(
            self._maker(launch),
            incarnation=LIFE,
            history=launch.history,
            trading=launch.trading,
            refusals=self._refusals,
        )
        work.prepare()
        return work

    def _executor(self) -> ExecutorWork:
        launch = self._order.executor
        work = ExecutorWork(
            self._maker(launch, Path(self._order.folder)),
            launch.inputs,
            refusals=self._refusals,
            risk=launch.risk,
        )
        work.prepare()
        return work

    async def _meter(self, launch: LaunchFile) -> Meter:
        meter = Meter(self._maker(launch), self._refusals, inputs=launch.inputs)
        await meter.work.start()
        return meter

    def _maker(self, launch: LaunchFile, storage: Path | None = None) -> Maker[Any]:
        return Maker(
            self._class(launch),
            launch.config,
            instance=launch.instance,
            storage=storage,
            storage_bytes=launch.storage_bytes if storage is not None else 0,
        )

    def _class(self, launch: LaunchFile) -> type[Any]:
        return plugin_class(Path(launch.code), launch.entrypoint, launch.kind)

    def _batches(self) -> Iterator[DataBatch]:
        done = 0
        for file in self._order.captured:
            with Path(file).open("rb") as lines:
                for line in lines:
                    yield decode_data(line)
                    done += 1
                    if done % _EVERY == 0:
                        self._say(done, 0)

    def _ticks(self) -> Iterator[MarketData]:
        order = self._order
        begin = order.begin or datetime.min.replace(tzinfo=UTC)
        end = order.end or datetime.max.replace(tzinfo=UTC)
        for tick in self._recorded() if order.data else self._captured():
            if begin <= tick.timestamp < end:
                yield tick

    def _recorded(self) -> Iterator[MarketData]:
        identify = Identify(SOURCE, finite=True)
        try:
            for row in open_files(self._order.data).strictly():
                try:
                    yield border.tick(row, identify)
                except border.RefusedError as error:
                    self._refusals.note(error)
        except LayoutError as error:
            raise _RefusedError(*error.problems[0]) from error

    def _captured(self) -> Iterator[MarketData]:
        heard = [
            Listen(one.instance, one.kind, symbols=one.symbols)
            for one in self._order.strategy.inputs
            if one.kind is Kind.DATA_SOURCE
        ]
        intake = Intake(heard)
        feeds: dict[tuple[str, str], list[MarketData]] = {}
        for batch in self._batches():
            ticks = feeds.setdefault((batch.source, batch.symbol), [])
            ticks += [tick for run in intake.data(batch, 0.0) for tick in run.ticks]
        for run in intake.flush():
            feeds[run.lead.edge.source, run.lead.edge.symbol] += run.ticks
        # Of one symbol in the order in which they came; the sort is stable.
        every = [tick for _, ticks in sorted(feeds.items()) for tick in ticks]
        return iter(sorted(every, key=attrgetter("timestamp")))

    def _say(self, done: int, whole: int) -> None:
        Path(self._order.progress).write_text(f"{done} of {whole}" if whole else str(done))


async def _end(strategy: StrategyWork, executor: ExecutorWork) -> None:
    for plugin in (*strategy.all(), *executor.all()):
        await plugin.shutdown()


def _plain(row: Any) -> dict[str, Any] | None:
    return (
        None if row is None else {name: value for name, value in row.items() if value is not None}
    )


def _report(by_strategy: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of the one strategy that there is."""
    (found,) = by_strategy.values() if len(by_strategy) == 1 else (by_strategy,)
    return dict(found) if isinstance(found, dict) else {}


def _words(names: set[str | None]) -> str:
    return ", ".join(sorted(name or "each tick" for name in names))


def main() -> None:
    answer_to = os.dup(1)
    os.dup2(2, 1)  # a plugin that prints must not disturb the answer
    sys.stdout = sys.stderr
    order = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ReplayOrder)
    try:
        answer = asyncio.run(replay(order))
    except Exception as error:  # noqa: BLE001 - plugins' own code; the edge of the process
        words = f"{type(error).__name__}: {error}"
        answer = ReplayAnswer(refused=words, fix="the last lines say where it was raised")
        import traceback

        traceback.print_exc()
    with os.fdopen(answer_to, "wb") as out:
        out.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    main()
