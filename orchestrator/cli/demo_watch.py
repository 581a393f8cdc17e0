"""Watching the demo from its start to its end: as lines, or as a view of the whole terminal."""

import time
from dataclasses import dataclass

from orchestrator import app
from orchestrator.app import past
from orchestrator.app.demonstration import SECONDS, Demonstration
from orchestrator.app.local_exchange import LocalExchange
from orchestrator.app.overheard import Transcript, listening
from orchestrator.cli.demo_follow import Glance, follow
from orchestrator.cli.failure import say
from orchestrator.cli.progress import settle
from orchestrator.errors import ActionError

LOOK_S = 0.25
SAY_S = 2.0


@dataclass(frozen=True, slots=True)
class Terms:
    """`deadline`: seconds until all are ready; `ends`: monotonic, for the whole; `speed` of playing."""

    deadline: float
    ends: float
    speed: float


def drawable() -> bool:
    """Tell whether there is a terminal for `live`."""
    from orchestrator.cli import screen

    return screen.possible()


def lines(run: Demonstration, exchange: LocalExchange, terms: Terms) -> tuple[Glance, Transcript]:
    """Apply and follow to the end, with a line now and then; return the last glance."""
    settle(app.apply(run.declared, wait=True, deadline=terms.deadline), output="table")
    said = 0.0
    played = False
    with listening(run.declared.settings, run.heard) as ears:
        for glance in follow(run, exchange, ears, ends=terms.ends, notice=say):
            now = time.monotonic()
            if not played and glance.playing:
                played = True
                say(
                    f"the exchange plays {SECONDS} s, {terms.speed:g} times as fast: "
                    "Binance recorded, Polygon synthetic"
                )
            if now - said >= SAY_S or glance.over:
                said = now
                say(_line(glance, run))
            if glance.over:
                return glance, ears.heard
            time.sleep(LOOK_S)
    raise ActionError("the demo saw nothing")


def live(run: Demonstration, exchange: LocalExchange, terms: Terms) -> tuple[Glance, Transcript]:
    """Do the same as a view of the whole terminal; `q` is Ctrl-C."""
    from orchestrator.cli.demo_view import View
    from orchestrator.cli.screen import Screen

    graph = past.graph(run.declared)
    with Screen() as screen, listening(run.declared.settings, run.heard) as ears:
        view = View(run, graph, ears.heard, terms.speed)
        for _ in app.apply(run.declared, wait=False):
            pass
        for glance in follow(run, exchange, ears, ends=terms.ends, notice=view.notice):
            screen.show(view.picture(glance, time.monotonic()))
            if glance.over:
                return glance, ears.heard
            if not screen.pause(LOOK_S):
                raise KeyboardInterrupt
    raise ActionError("the demo saw nothing")


def _line(glance: Glance, run: Demonstration) -> str:
    def total(direction: str, channel: str) -> int:
        return sum(
            flow.count
            for beat in glance.beats.values()
            for flow in getattr(beat, direction)
            if flow.channel == channel
        )

    books = glance.summary(run).books
    equity = f"  equity {sum(book.equity for book in books):,.2f}" if books else ""
    return (
        f"ticks sent {total('sent', 'data'):,}  received {total('received', 'data'):,}  "
        f"signals {total('sent', 'signal'):,}  fills {total('sent', 'fill'):,}{equity}"
    )
