"""Batches that follow each other as if their sender had made one of them."""

from collections.abc import Iterable, Iterator

from ntp.contract.messages import DataBatch, MarketData


def joined(batches: Iterable[DataBatch]) -> Iterator[DataBatch]:
    """Yield the same ticks in the same order, in as few batches as neighbours allow.

    What is counted a batch, and not a tick, is so counted once for all that waited.
    """
    first: DataBatch | None = None
    ticks: list[MarketData] = []
    for batch in batches:
        if first is not None:
            if _follows(first, ticks, batch):
                if ticks is first.ticks:
                    ticks = ticks.copy()
                ticks += batch.ticks
                continue
            yield _whole(first, ticks)
        first, ticks = batch, batch.ticks
    if first is not None:
        yield _whole(first, ticks)


def _follows(first: DataBatch, ticks: list[MarketData], batch: DataBatch) -> bool:
    """Whether a batch goes on exactly where these ticks end; what is no plain tick stays alone."""
    return bool(
        batch.seq == first.seq + len(ticks)
        and batch.symbol == first.symbol
        and batch.incarnation == first.incarnation
        and batch.source == first.source
        and not (first.end or batch.end)
        and ticks
        and batch.ticks
        and batch.ticks[0].timestamp >= ticks[-1].timestamp
    )


def _whole(first: DataBatch, ticks: list[MarketData]) -> DataBatch:
    if ticks is first.ticks:
        return first
    return DataBatch(first.source, first.incarnation, first.symbol, first.seq, ticks)
