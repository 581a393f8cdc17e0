"""Data that a market should not send and some day does: a plugin must not be ended by it."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ntp.blocks import SOURCE, Blocks, cut
from ntp.contract.messages import MarketData
from ntp.contract.names import Kind
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.examination.hostile_cases import CASES, Ticks
from ntp.examination.order import Answer, Case, Order, Raised
from ntp.examination.raised import raised
from ntp.examination.rows import Rows
from ntp.examination.tasks import PAPER, PluginRaisedError, alternating, maker, plugins
from ntp.rehearsal import Meter, Rehearsal
from ntp.runner.core import border
from ntp.runner.core.objects import Maker
from ntp.runner.core.tick_ids import Identify

ROWS = 400
"""Of the recording, which the cases are made of: their prices and times are those of its market."""


async def suffer(order: Order) -> Answer:
    """Show a plugin each case, a new object each time; what it raises is told, with the tick.

    Raises:
        ConfigRefusedError, EndError, ValueError: it cannot be run.
    """
    given = list(
        islice((t for block in Rows(replace(order.data, most=ROWS)).blocks() for t in block), ROWS)
    )
    cases = [
        await _case(order, name, make([_own(t) for t in given])) for name, make in CASES.items()
    ]
    return Answer(ticks=len(given), cases=cases)


def _rehearsal(order: Order, refusals: border.Refusals) -> Rehearsal:
    executes = order.subject.kind is Kind.EXECUTOR
    strategy: Maker[Any] = alternating() if executes else maker(order.subject)
    return Rehearsal(
        strategy,
        refusals,
        indicators={each.instance: maker(each) for each in order.indicators},
        executor=maker(order.subject) if executes else None,
        trading=order.trading,
        history=order.history,
        bars=order.bars,
        desk=None
        if executes
        else Desk(PAPER, strategy.instance, order.trading, Costs.of(order.costs)),
    )


def _through(ticks: Ticks, refusals: border.Refusals) -> Iterator[MarketData]:
    """Yield what the border lets through, as live."""
    identify = Identify(SOURCE, finite=True)
    for tick in ticks:
        try:
            yield border.tick(tick, identify)
        except border.RefusedError as error:
            refusals.note(error)


def _own(tick: MarketData) -> MarketData:
    return replace(tick, id="", metadata={})


async def _case(order: Order, name: str, ticks: Ticks) -> Case:
    at_the_border, refusals = border.Refusals(), border.Refusals()
    blocks = Blocks(cut(_through(ticks, at_the_border)))
    found: Raised | None = None
    try:
        if order.subject.kind is Kind.INDICATOR:
            with plugins():
                meter = Meter(maker(order.subject), refusals, order.bars)
                await meter.work.start()
                for block in blocks:
                    for part in block:
                        await meter.show(part.batch)
        else:
            rehearsal = _rehearsal(order, refusals)
            with plugins():
                await rehearsal.start()
                for block in blocks:
                    await rehearsal.show(block)
                await rehearsal.show(blocks.end())
                await rehearsal.finish()
    except PluginRaisedError as error:
        found = raised(error.cause, Path(order.subject.code))
    return Case(name, blocks.count, at_the_border.count, found, refusals.count, refusals.last)
