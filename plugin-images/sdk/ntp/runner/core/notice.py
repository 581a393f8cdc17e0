"""When a strategy learned of a fill, in places of its own feed."""

from collections.abc import Iterable

from ntp.contract.messages import Fill, Noticed
from ntp.plugin import StrategyPlugin
from ntp.runner.core.lead import Lead
from ntp.runner.core.objects import overrides
from ntp.runner.core.strategy import StrategyWork


def noticed(fill: Fill, leads: Iterable[Lead]) -> list[Noticed]:
    """Return how far the fill's symbol was analysed; nothing where no tick of it was."""
    places = [at for lead in leads if lead.edge.symbol == fill.symbol and (at := lead.reference())]
    if not places:
        return []
    # Of a symbol that several sources have: where it was heard of last.
    at = max(places, key=lambda place: place.time)
    return [Noticed(fill.id, at.source, at.incarnation, at.symbol, at.seq)]


def looks_at_fills(work: StrategyWork) -> bool:
    """Whether what a strategy makes may depend on when it learns of a fill."""
    return work.holdings.asked or overrides(next(iter(work.all())), "on_fill", StrategyPlugin)
