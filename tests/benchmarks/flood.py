"""A program that sends ticks of one symbol as a source does, as fast as it is told to.

    python -m tests.benchmarks.flood '{"address": …}'

Everything is encoded before the first byte is sent, so the sender is not what is measured. At most
`window` ticks are under way, as `counter` tells: a receiver that is slower than `rate` (0: no rate)
is not cut off for it. Prints when it began, monotonic nanoseconds.
"""

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from ntp.contract.messages import DataBatch, MarketData
from ntp.runner.core.edge import new_incarnation
from tests.benchmarks import wire
from tests.benchmarks.rig import Counter

SPIKE = 2_000
"""Every so manyth price leaves its band."""


class Order(msgspec.Struct):
    """Rates are ticks a second."""

    address: str
    credentials: str
    subject: str
    counter: str
    source: str
    symbol: str
    count: int
    batch: int
    rate: float = 0.0
    window: int = 40_000
    end: bool = False


def main() -> None:
    order = msgspec.json.decode(sys.argv[1].encode(), type=Order)
    counter = Counter(Path(order.counter))
    with wire.Wire(order.address, Path(order.credentials)) as line:
        frames = list(_frames(order))
        began = time.monotonic_ns()
        _send(line, frames, order, counter)
        line.flush()
    sys.stdout.write(str(began))


def _send(line: wire.Wire, frames: list[bytes], order: Order, counter: Counter) -> None:
    at, most, before = 0, max(1, 200 // order.batch), counter.count
    began, pace = time.perf_counter(), order.rate / order.batch
    while at < len(frames):
        room = (order.window - at * order.batch + counter.count - before) // order.batch
        due = int((time.perf_counter() - began) * pace) + 1 - at if pace else most
        if room <= 0 or due <= 0:
            time.sleep(0.0002)
            line.attend()
            continue
        stop = at + min(most, room, due)
        line.send(b"".join(frames[at:stop]))
        at = stop


def _frames(order: Order) -> Iterator[bytes]:
    life = new_incarnation(time.time_ns() // 1_000_000, os.urandom(4).hex())
    start = datetime.now(UTC)
    for first in range(0, order.count, order.batch):
        ticks = [
            MarketData(
                start + timedelta(microseconds=i),
                order.symbol,
                110.0 if i % SPIKE == SPIKE - 1 else 100.0 + i % 7 / 10,
                1.0,
                id=f"{order.source}:{i + 1}",
            )
            for i in range(first, min(first + order.batch, order.count))
        ]
        end = order.end and first + order.batch >= order.count
        batch = DataBatch(order.source, life, order.symbol, first + 1, ticks, end)
        yield wire.frame(order.subject, msgspec.json.encode(batch))


if __name__ == "__main__":
    main()
