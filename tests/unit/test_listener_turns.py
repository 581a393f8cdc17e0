"""Ticks of one symbol are shown in their order, whatever comes while others have their turn."""

from datetime import UTC, datetime, timedelta

import pytest

from ntp.contract.launch import BusAddress, LaunchFile, Listen
from ntp.contract.messages import DataBatch, MarketData
from ntp.contract.names import Kind
from ntp.runner.core import border
from ntp.runner.core.lead import Run
from ntp.runner.listener import Listener

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def ticks(first, count):
    return [
        MarketData(NOON + timedelta(seconds=i), "BTC", 1.0, 1.0, id=str(i))
        for i in range(first, first + count)
    ]


@pytest.mark.parametrize("slices", [1, 2, 5])
async def test_what_comes_between_two_slices_is_behind_all_that_was_ready(slices):
    shown: list[str] = []

    async def feed(run: Run, start: int, _: float) -> int:
        stop = min(start + slices, len(run.ticks))
        shown.extend(tick.id for tick in run.ticks[start:stop])
        if stop > start:
            run.done(stop - 1)
        return stop

    async def nothing(*_: object) -> None:
        pass

    launch = LaunchFile(
        project="p", instance="i", kind=Kind.STRATEGY, plugin="i", entrypoint="m:C", code="", generation=1,
        bus=BusAddress([]), inputs=[Listen("src", Kind.DATA_SOURCE)],
    )  # fmt: skip
    listener = Listener(launch, border.Refusals(), open_lead=nothing, feed=feed, emit=nothing)
    later = iter([ticks(7, 3), ticks(10, 2)])

    async def others_turn() -> None:
        for some in later:
            batch = DataBatch("src", "life", "BTC", int(some[0].id), some)
            await listener.process(listener.taken(batch))
            break

    ready = [
        run
        for first in (1, 4)
        for run in listener.taken(DataBatch("src", "life", "BTC", first, ticks(first, 3)))
    ]
    assert len(ready) == 2
    await listener.process(ready, give_way=others_turn)
    assert shown == [str(i) for i in range(1, 12)]
