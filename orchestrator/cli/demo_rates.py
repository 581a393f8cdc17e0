"""How many messages a second go along each edge of the demo, as a table of who sends to whom."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from ntp.contract.beat import Beat, Flow
from ntp.contract.names import Channel
from orchestrator.cli.demo_report import EXCHANGE
from orchestrator.cli.wiring_layout import broken

LEAST_S = 0.5
"""Between two beats of which a rate is made."""
NAME, CELL, NARROWEST = 18, 11, 6
"""Columns of the names on the left; of a cell, at most and at least."""


class Rates:
    """Messages a second along each edge, between the last two beats of whoever counts them."""

    def __init__(self) -> None:
        self._beats: dict[str, tuple[Beat, Beat]] = {}

    def note(self, beats: Mapping[str, Beat]) -> None:
        for name, beat in beats.items():
            before, last = self._beats.get(name, (beat, beat))
            if beat.incarnation != last.incarnation:
                before = last = beat
            elif (beat.at - last.at).total_seconds() >= LEAST_S:
                before, last = last, beat
            self._beats[name] = before, last

    def of(self, producer: str, consumer: str, channel: Channel) -> float:
        """Return the rate; from the exchange it is what the source sends on."""
        if consumer not in self._beats:
            return 0.0
        before, last = self._beats[consumer]
        span = (last.at - before.at).total_seconds()
        came = _count(last, producer, channel) - _count(before, producer, channel)
        return max(came, 0) / span if span > 0 else 0.0

    def lost(self, producer: str, consumer: str, channel: Channel) -> int:
        """Return how many messages were sent and never came, as far as is known."""
        if consumer not in self._beats or producer == EXCHANGE:
            return 0
        flows = self._beats[consumer][1].received
        return sum(flow.lost for flow in flows if _is(flow, producer, channel))


def lines(graph: Mapping[str, Any], rates: Rates, width: int) -> list[Text]:
    """Return a row for everybody who sends and a column for everybody who hears.

    `graph`: as `graph -o json` has it.
    """
    names = [plugin["name"] for plugin in graph["plugins"]]
    edges = {(edge["from"], edge["to"]): Channel(edge["channel"]) for edge in graph["edges"]}
    sources = [each["name"] for each in graph["plugins"] if each["kind"] == "data_source"]
    edges |= {(EXCHANGE, name): Channel.DATA for name in sources}
    heard = [name for name in names if any(to == name for _, to in edges)]
    cell = max(min(CELL, (width - NAME) // max(len(heard), 1) - 1), NARROWEST)
    heard = heard[: max((width - NAME) // (cell + 1), 1)]
    rows = []
    for sender in (EXCHANGE, *names):
        row = Text(f"{broken(sender, NAME)[0]:<{NAME}}")
        for name in heard:
            row.append(" ")
            row.append_text(_cell(rates, sender, name, edges.get((sender, name)), cell))
        rows.append(row)
    return [*_titles(heard, cell), *rows]


def _titles(names: Sequence[str], cell: int) -> list[Text]:
    headings = [broken(name, cell) for name in names]
    tall = max(map(len, headings), default=1)
    found = []
    for number in range(tall):
        parts = [
            ([""] * (tall - len(heading)) + heading)[number].rjust(cell) for heading in headings
        ]
        title = "messages/s" if number == tall - 1 else ""
        found.append(Text(f"{title:<{NAME}} {' '.join(parts)}", style="dim"))
    return found


def _cell(rates: Rates, sender: str, name: str, channel: Channel | None, width: int) -> Text:
    if channel is None:
        return Text("·".rjust(width), style="dim")
    rate, lost = rates.of(sender, name, channel), rates.lost(sender, name, channel)
    shown = f"{rate:.0f}" if rate >= 10 or not rate else f"{rate:.1f}"
    if lost:
        return Text(f"{shown} lost {lost}".rjust(width), style="bold red")
    return Text(shown.rjust(width))


def _count(beat: Beat, producer: str, channel: Channel) -> int:
    flows = beat.sent if producer == EXCHANGE else beat.received
    return sum(flow.count for flow in flows if _is(flow, producer, channel))


def _is(flow: Flow, producer: str, channel: Channel) -> bool:
    return flow.channel == channel and producer in (EXCHANGE, flow.peer)
