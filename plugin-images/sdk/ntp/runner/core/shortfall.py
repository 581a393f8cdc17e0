"""What a person should know of the inputs of a plugin: what is missing, late or left out."""

from collections.abc import Collection

from ntp.runner.core.edge import Edge
from ntp.runner.core.intake import MOST_LEADS, Intake


def told(intake: Intake) -> dict[str, str]:
    """Return it in words, by condition type."""
    found = {}
    leads = intake.leads.values()
    edges = [lead.edge for lead in leads if lead.edge.lost]
    if edges:
        found["TicksLost"] = _lost(edges)
    late = sum(known.late for lead in leads for known in lead.indicators.values())
    if late:
        found["IndicatorsLate"] = f"{late} ticks went on without an indicator's value"
    skipped = sum(lead.skipped for lead in leads)
    if skipped:
        found["TicksSkipped"] = f"{skipped} ticks were left out for newer ones (policy: latest)"
    if intake.turned_away:
        found["TooManySymbols"] = f"more than {MOST_LEADS} symbols; the others are not heard"
    return found


def _lost(edges: Collection[Edge]) -> str:
    """Say how many ticks never came, and of whom and when the last ones."""
    words = f"{sum(each.lost for each in edges)} ticks were sent and never came"
    dated = [(each.lost_before, each) for each in edges if each.lost_before is not None]
    if not dated:
        return words
    at, last = max(dated, key=lambda pair: pair[0])
    return (
        f"{words}, the last of {last.symbol} from {last.source} before {at:%Y-%m-%d %H:%M:%S} UTC"
    )
