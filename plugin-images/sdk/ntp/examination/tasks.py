"""What the confined process does: a plugin of each kind, run on data in the way that it runs live."""

import gc
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from ntp.blocks import Blocks
from ntp.contract.messages import Fill, SignalMessage
from ntp.contract.names import Kind
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.examination.alternating import Alternating
from ntp.examination.order import FILLS, PROGRESS, SIGNALS, VALUES, Answer, Order, Subject
from ntp.examination.prices import Prices
from ntp.examination.raised import raised
from ntp.examination.rows import Rows
from ntp.examination.watched import Watched
from ntp.rehearsal import Meter, Rehearsal
from ntp.runner.core import border
from ntp.runner.core.objects import ConfigRefusedError, Maker
from ntp.runner.load import plugin_class

PAPER = "paper"
"""The instance whose fills these are."""
_DAY_S = 86_400
_SAY_S = 0.5
_encode = msgspec.json.Encoder(enc_hook=border.plain, decimal_format="string").encode


class Task:
    """Runs an order that has data; `answer` tells how far it came, whatever ended it."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.folder = Path(order.folder)
        self.rows = Rows(order.data)
        self.refusals = border.Refusals()
        self._blocks = Blocks(self.rows.blocks())
        self._began = time.monotonic()
        self._say_at = self._began + _SAY_S
        self._told: dict[str, Any] = {}
        self._prices = Prices() if order.assess else None

    async def run(self) -> Answer:
        """Run it to the end of the data, or of the plugin.

        Raises:
            ConfigRefusedError, EndError, ValueError: it cannot be run.
        """
        gc.set_threshold(100_000, 50, 1000)  # ticks are no garbage in cycles
        gc.freeze()
        try:
            if self.order.subject.kind is Kind.INDICATOR:
                await self._indicator()
            else:
                await self._strategy()
        except PluginRaisedError as error:
            self._told["raised"] = raised(error.cause, Path(self.order.subject.code))
        return self._answer()

    async def _strategy(self) -> None:
        order = self.order
        executes = order.subject.kind is Kind.EXECUTOR
        costs = Costs.of(order.costs)
        strategy: Maker[Any] = alternating() if executes else maker(order.subject)
        # The curve follows the equity; the desk need not sample it too.
        desk = Desk(PAPER, strategy.instance, order.trading, costs, sample_s=_DAY_S)
        rehearsal = Rehearsal(
            strategy,
            self.refusals,
            indicators={each.instance: maker(each) for each in order.indicators},
            executor=maker(order.subject, self.folder) if executes else None,
            trading=order.trading,
            history=order.history,
            bars=order.bars,
            desk=None if executes else desk,
        )
        watched = Watched(order) if not executes and (order.assess or order.marks) else None
        if watched is not None:
            rehearsal.passed, rehearsal.changed = watched.ticks, watched.change
        with _Written(self.folder, rehearsal) as written:
            try:
                await self._show(rehearsal, written)
            finally:
                written.flush()
                self._told |= {"signals": written.signals, "fills": written.fills}
                self._told["late"] = rehearsal.strategy.late
                self._told["orders_refused"], self._told["limited"] = desk.refused, desk.limited
                if watched is not None:
                    self._told |= watched.told()

    async def _show(self, rehearsal: Rehearsal, written: "_Written") -> None:
        with plugins():
            await rehearsal.start()
        for block in self._each():
            with plugins():
                await rehearsal.show(block)
            written.flush()
        with plugins():
            await rehearsal.show(self._blocks.end())
            self._told["indicators"] = rehearsal.strategy.indicators()
            reports = _reports(rehearsal.strategy.objects)
            if rehearsal.executor is not None:
                reports["executor"] = rehearsal.executor.report()
            self._told["report"] = reports
            await rehearsal.finish()

    async def _indicator(self) -> None:
        with plugins():
            meter = Meter(maker(self.order.subject), self.refusals, self.order.bars)
            await meter.work.start()
        with (self.folder / VALUES).open("wb") as out:
            for block in self._each():
                made: dict[int, bytes] = {}
                for part in block:
                    with plugins():
                        shown = await meter.show(part.batch)
                    values = [_encode(one) for batch in shown for one in batch.values]
                    made.update(zip(part.rows, values, strict=True))
                out.writelines(made[row] + b"\n" for row in sorted(made))
        with plugins():
            for one in meter.work.all():
                await one.shutdown()
        objects = {symbol: one for (_, symbol), one in meter.work.objects.items()}
        self._told["report"] = _reports(objects)

    def _each(self) -> Iterator[Any]:
        progress = self.folder / PROGRESS
        for block in self._blocks:
            if self._prices is not None:
                for part in block:
                    self._prices.take(part.batch.symbol, part.batch.ticks)
            yield block
            if time.monotonic() >= self._say_at:
                self._say(progress)

    def _say(self, progress: Path) -> None:
        now = time.monotonic()
        rate = self._blocks.count / max(now - self._began, 1e-9)
        share = "" if self.rows.dataset is None else f", {self.rows.dataset.done:.0%}"
        progress.write_text(f"{self._blocks.count:,} ticks{share}, {rate:,.0f} a second")
        self._say_at = now + _SAY_S

    def _answer(self) -> Answer:
        rows, used = self.rows, resource.getrusage(resource.RUSAGE_SELF)
        bad = None if rows.dataset is None else rows.dataset.bad
        none = not self._blocks.count and "raised" not in self._told
        return Answer(
            refused="the data has no row that could be taken" if none else "",
            fix="look at the rows that were left out, or name other --data" if none else "",
            ticks=self._blocks.count,
            symbols=rows.symbols,
            first=rows.first,
            last=rows.last,
            bad=[] if bad is None else bad.lines(),
            bad_count=0 if bad is None else bad.count,
            prices={} if self._prices is None else self._prices.lines(),
            border=self.refusals.count,
            last_refusal=self.refusals.last,
            cpu_s=used.ru_utime + used.ru_stime,
            wall_s=time.monotonic() - self._began,
            peak_mib=used.ru_maxrss / 1024,
            **self._told,
        )


class PluginRaisedError(Exception):
    """Code of the plugin raised `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def plugins() -> Iterator[None]:
    """Hold whatever is raised in the block against the plugin, but for a refused config."""
    try:
        yield
    except ConfigRefusedError:
        raise
    except Exception as error:
        raise PluginRaisedError(error) from error


class _Written:
    """Takes what a rehearsal made out of memory, into files."""

    def __init__(self, folder: Path, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal
        self._files = (folder / SIGNALS).open("wb"), (folder / FILLS).open("wb")
        self.signals = self.fills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for file in self._files:
            file.close()

    def flush(self) -> None:
        messages, fills = self._rehearsal.messages, self._rehearsal.fills
        lists: tuple[Sequence[SignalMessage | Fill], ...] = (messages, fills)
        for file, made in zip(self._files, lists, strict=True):
            file.writelines(_encode(one) + b"\n" for one in made)
        self.signals += len(messages)
        self.fills += len(fills)
        messages.clear()
        fills.clear()


def alternating() -> Maker[Any]:
    """Return what makes the strategy that an executor is tested with."""
    return Maker(Alternating, {}, instance="alternating")


def maker(subject: Subject, storage: Path | None = None) -> Maker[Any]:
    """Return what makes the objects of a plugin.

    Raises:
        EndError: its class cannot be imported.
    """
    cls = plugin_class(Path(subject.code), subject.entrypoint, subject.kind)
    return Maker(cls, subject.config, instance=subject.instance, storage=storage)


def _reports(objects: Mapping[str, Any]) -> dict[str, Any]:
    return {name: report for name, one in objects.items() if (report := one.report())}
