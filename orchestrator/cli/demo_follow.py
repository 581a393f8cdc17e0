"""Following the demo: until the exchange has played all, and all that came of it has arrived."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import msgspec

from ntp.contract.beat import Beat
from orchestrator import app
from orchestrator.app.demonstration import MARKETS, Demonstration
from orchestrator.app.local_exchange import LocalExchange, Market
from orchestrator.app.overheard import Ears
from orchestrator.cli.demo_report import Summary, summarise
from orchestrator.errors import ActionError, UnreachableError

SETTLE_S = 10.0
"""How long after the last trade all may need to arrive, or to be known as lost."""
QUIET_BEATS = 2
"""Beats in a row, a second apart, in which nothing moved: longer than a tick waits for an indicator."""


@dataclass(frozen=True, slots=True)
class Glance:
    """How things are. `plugins`: their status, as `status -o json` has it."""

    beats: Mapping[str, Beat]
    plugins: list[dict[str, Any]]
    markets: Mapping[str, Market]
    playing: bool = False
    over: bool = False
    """Nothing more will come."""

    def summary(self, demo: Demonstration) -> Summary:
        played = {
            name: {each: self.markets[MARKETS[name]].trades.get(each, 0) for each in symbols}
            for name, symbols in demo.symbols.items()
        }
        return summarise(self.beats, played=played, synthetic=demo.synthetic)


@dataclass(slots=True)
class Quiet:
    """Whether anything still moves, by what each plugin says itself."""

    _last: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def note(self, beats: Mapping[str, Beat]) -> bool:
        """Take the newest beats; tell whether nothing has changed for some, anywhere."""
        for name, beat in beats.items():
            counts = (beat.incarnation, beat.sent, beat.received)
            known = self._last.get(name)
            if known is None or known[0] != counts:
                self._last[name] = counts, beat.number
        return all(beat.number >= self._last[name][1] + QUIET_BEATS for name, beat in beats.items())


def follow(
    demo: Demonstration,
    exchange: LocalExchange,
    ears: Ears,
    *,
    ends: float,
    notice: Callable[[str], None],
) -> Iterator[Glance]:
    """Yield what there is to see, whenever asked; the last one is `over`.

    Playing begins when all plugins are ready, every source is subscribed to all of its symbols, and
    `ears` hear. A controller that died is started again.

    Args:
        demo: what runs.
        exchange: held until now.
        ears: for the page of the run.
        ends: monotonic time by which it has to be over.
        notice: told in a sentence what did not go the usual way.

    Raises:
        ActionError: a plugin is down for good, or it took too long.
        UnreachableError: the exchange does not answer.
    """
    quiet = Quiet()
    playing = False
    settled_by: float | None = None
    while True:
        glance = _look(demo, exchange, notice)
        if glance is None:
            if monotonic() > ends:
                raise ActionError(
                    "the demo was not through in time; its controller does not answer"
                )
            continue
        now = monotonic()
        _check(glance)
        if not playing and not _missing(demo, glance, ears):
            exchange.play()
            playing = True
        still = quiet.note(glance.beats)
        if playing and all(market.ended for market in glance.markets.values()):
            settled_by = settled_by or min(ends, now + SETTLE_S)
            complete = still and not glance.summary(demo).failures
            if complete or now >= settled_by:
                yield replace(glance, playing=True, over=True)
                return
        if now > ends:
            raise ActionError(
                f"the demo was not through in time; {_waits_for(demo, glance, ears, playing=playing)}"
            )
        yield replace(glance, playing=playing)


def _look(
    demo: Demonstration, exchange: LocalExchange, notice: Callable[[str], None]
) -> Glance | None:
    """Ask everybody; None where the controller was gone, which now runs again."""
    settings = demo.declared.settings
    try:
        # Last of all the exchange: what it has played by then is not yet lost.
        told = app.ask(settings, "beats")["beats"]
        plugins = app.ask(settings, "status")["plugins"]
    except UnreachableError:
        if app.ensure_controller(settings):
            notice("the controller was gone; started again, it adopts what runs")
        return None
    beats = {
        name: msgspec.convert(entry["beat"], Beat, strict=False) for name, entry in told.items()
    }
    return Glance(beats, plugins, exchange.markets())


def _check(glance: Glance) -> None:
    stalled = [
        f"{plugin['name']}: {plugin['state']}: {plugin['message']}"
        for plugin in glance.plugins
        if any(each["type"] == "Stalled" and each["status"] for each in plugin["conditions"])
    ]
    if stalled:
        raise ActionError("the demo failed:\n  " + "\n  ".join(stalled))


def _missing(demo: Demonstration, glance: Glance, ears: Ears) -> list[str]:
    """Say what has to happen before the exchange may play."""
    states = {plugin["name"]: plugin for plugin in glance.plugins}
    found = [
        f"{name} is {states[name]['state']}: {states[name]['message']}"
        if name in states
        else f"{name} is not there"
        for name in demo.declared.names
        if name not in states or not states[name]["ready"]
    ]
    for name, symbols in demo.symbols.items():
        missing = set(symbols) - set(glance.markets[MARKETS[name]].wanted)
        if missing:
            found.append(f"{name} is not subscribed to {', '.join(sorted(missing))}")
    return found or [f"nobody listens to {name} yet" for name in ears.deaf_to]


def _waits_for(demo: Demonstration, glance: Glance, ears: Ears, *, playing: bool) -> str:
    if not playing:
        return "\n  ".join(["it waited for:", *_missing(demo, glance, ears)])
    open_markets = [name for name, market in glance.markets.items() if not market.ended]
    if open_markets:
        return f"the exchange still plays {' and '.join(open_markets)}"
    return "\n  ".join(["what was sent did not arrive:", *glance.summary(demo).failures])
