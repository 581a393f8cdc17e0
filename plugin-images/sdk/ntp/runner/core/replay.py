"""The end of what was captured: of each symbol the last ticks, and the values that belong to them."""

from collections.abc import Iterable

import msgspec

from ntp.contract.messages import DataBatch, IndicatorBatch

Batch = DataBatch | IndicatorBatch


def last_ticks(newest_first: Iterable[Batch], most: int) -> list[Batch]:
    """Return what to show, oldest first: at most the last `most` ticks of each symbol of a source.

    Values stay, all of them: whoever has no tick for one passes it over.
    """
    left: dict[tuple[str, str], int] = {}
    kept: list[Batch] = []
    for batch in newest_first:
        if isinstance(batch, DataBatch):
            key = (batch.source, batch.symbol)
            room = left.get(key, most)
            if batch.ticks and not room:
                continue
            surplus = max(0, len(batch.ticks) - room)
            left[key] = room - len(batch.ticks) + surplus
            kept.append(_without_first(batch, surplus) if surplus else batch)
        else:
            kept.append(batch)
    return kept[::-1]


def count(batches: Iterable[Batch]) -> int:
    """Return how many ticks they hold."""
    return sum(len(batch.ticks) for batch in batches if isinstance(batch, DataBatch))


def _without_first(batch: DataBatch, number: int) -> DataBatch:
    return msgspec.structs.replace(batch, seq=batch.seq + number, ticks=list(batch.ticks[number:]))
