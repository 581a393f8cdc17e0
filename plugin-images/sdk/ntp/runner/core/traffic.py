"""How much came over each edge, and how much of it did not."""

from collections.abc import Iterable, Iterator

from ntp.contract.beat import Flow
from ntp.contract.names import Channel
from ntp.runner.core.lead import Lead


def flows(leads: Iterable[Lead]) -> Iterator[Flow]:
    """Yield the counts of each edge, the indicators of a source after it."""
    for lead in leads:
        edge = lead.edge
        yield Flow(
            peer=edge.source,
            channel=Channel.DATA,
            symbol=edge.symbol,
            count=edge.count,
            lost=edge.lost,
            through=edge.through,
        )
        for name, known in lead.indicators.items():
            yield Flow(
                peer=name,
                channel=Channel.INDICATOR,
                symbol=edge.symbol,
                count=known.count,
                lost=known.lost,
                late=known.late,
                through=known.through,
            )


def forget(leads: Iterable[Lead]) -> None:
    """Count from here on."""
    for lead in leads:
        lead.edge.count = lead.edge.lost = 0
        for known in lead.indicators.values():
            known.count = known.lost = known.late = 0
