"""A recorded session once more: the order that its ledger tells, through the engine that ran it.

Live, messages raced, and the executor wrote down in which order its desk took ticks and signals
(`ntp.engine.trail`). Here the strategy is shown each tick just before the desk is, and what the desk
takes is what the trail says; so a ledger that goes on from the same state ends row by row as it did.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ntp.captured_feeds import CapturedFeeds, Feed
from ntp.contract.messages import Fill, SignalMessage
from ntp.engine.claims import Key
from ntp.engine.trail import Place, Taken, read
from ntp.record import Piece, Signalled
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.mandate import Mandate, Outcome
from ntp.runner.core.notice import looks_at_fills
from ntp.runner.core.strategy import StrategyWork


@dataclass(slots=True)
class Told:
    """How a replay went.

    Attributes:
        ticks, signals, fills: what the desk took, and made.
        missing: ticks that it took live, of which nothing was captured.
        extra: signals that were made now and not taken live, by id; as many as are shown.
        extras: how many those are.
        unmade: signals that were taken live and not made now.
    """

    ticks: int = 0
    signals: int = 0
    fills: int = 0
    missing: int = 0
    extra: list[str] = field(default_factory=list)
    extras: int = 0
    unmade: int = 0


_SHOWN = 20


class Replay:
    """Args:
    strategy, executor: prepared and started.
    feeds: what was captured, all of it.
    signals: those that the live ledger took, in that order. None: each signal is taken right
        after its tick, as one of a strategy that was not there.
    noticed: by fill, which tick of its symbol the strategy had analysed when it learned of it, None:
        it did not yet; of others it learns just before its next tick.
    """

    def __init__(
        self,
        strategy: StrategyWork,
        executor: ExecutorWork,
        feeds: CapturedFeeds,
        signals: Iterable[Signalled] | None,
        noticed: Mapping[str, Place | None] | None = None,
    ) -> None:
        self._strategy = strategy
        (self._mandate,) = executor.mandates.values()
        self._feeds = feeds
        self._live = None if signals is None else iter(signals)
        self._noticed = noticed or {}
        self._unnoticed: dict[tuple[str, str], list[tuple[int, Fill]]] = {}
        """By source and symbol: fills, and how many ticks of it the strategy analyses before each."""
        self._made: dict[str, SignalMessage] = {}
        self._rules: dict[str, Any] = {"halted": "", "flatten": False}
        self.told = Told()

    async def begin(self, pieces: Sequence[Piece]) -> None:
        """Show the strategy what came before the first tick of these pieces: what it makes is dropped."""
        for each in self._feeds.all.values():
            await self._strategy.open(each.lead)
        for key, seq in first_taken(pieces).items():
            feed = self._feeds.all.get((key.source, key.symbol))
            if feed is not None and not feed.at:
                place = (key, seq)
                for run in feed.until(feed.find(place, self._feeds.tick(place))):
                    self._strategy.show(run, 0, math.inf)
        self._strategy.forget()

    async def follow(self, piece: Piece) -> None:
        """Do what was done live in the stretch that a piece tells of."""
        await self._obey(piece.rules)
        for taken in read(piece.steps):
            if taken.key is None:
                await self._signal()
                continue
            for seq in range(taken.seq, taken.seq + taken.many):
                await self._tick((taken.key, seq))

    def finish(self) -> Told:
        """Count what was made and never taken; that of the very last ticks may be under way yet."""
        ends = {key: feed.ticks[feed.at - 1].id for key, feed in self._feeds.all.items() if feed.at}
        for message in self._made.values():
            tick = message.tick
            if ends.get((tick.source, tick.symbol)) != tick.id:
                self.told.extras += 1
                if len(self.told.extra) < _SHOWN:
                    self.told.extra.append(message.id)
        return self.told

    async def _tick(self, place: Place) -> None:
        tick = self._feeds.tick(place)
        key, _ = place
        feed = self._feeds.all.get((key.source, key.symbol))
        if feed is not None:
            await self._show(feed, feed.find(place, tick) + 1)
        if tick is None:
            self.told.missing += 1
            return
        self.told.ticks += 1
        await self._keep(await self._mandate.in_order([tick], [place]))
        if self._live is None:
            made, self._made = list(self._made.values()), {}
            await self._execute(made)

    async def _show(self, feed: Feed, end: int) -> None:
        """Have the strategy analyse what comes before the index `end`."""
        while feed.at < end:
            stop = await self._notice(feed, end)
            for run in feed.until(stop):
                self._strategy.feed(run, 0, math.inf)
        made, self._strategy.made = self._strategy.made, []
        for message, _ in made:
            self._made[message.id] = message

    async def _notice(self, feed: Feed, end: int) -> int:
        """Tell the strategy of the fills that it knew here; return before which tick the next are due."""
        waiting = self._unnoticed.get((feed.lead.edge.source, feed.lead.edge.symbol), [])
        while waiting and waiting[0][0] <= feed.at:
            await self._strategy.fill(waiting.pop(0)[1])
        return min(end, waiting[0][0]) if waiting else end

    async def _signal(self) -> None:
        if self._live is None:
            return  # where another strategy's signals lay says nothing
        wanted = next(self._live, None)
        if wanted is not None and wanted.id not in self._made:
            await self._hurry(wanted)
        message = None if wanted is None else self._made.pop(wanted.id, None)
        if message is None:
            self.told.unmade += 1
        else:
            await self._execute([message])

    async def _hurry(self, wanted: Signalled) -> None:
        """Bring the strategy to where it made a signal: after a crash one may not wait for its tick."""
        for (_, symbol), feed in self._feeds.all.items():
            while (
                symbol == wanted.symbol
                and wanted.id not in self._made
                and feed.at < len(feed.ticks)
                and feed.ticks[feed.at].timestamp <= wanted.time
            ):
                await self._show(feed, feed.at + 1)

    async def _execute(self, messages: Sequence[SignalMessage]) -> None:
        if messages:
            self.told.signals += len(messages)
            await self._keep(await self._mandate.in_order(messages))

    async def _keep(self, outcome: Outcome) -> None:
        for fill in outcome.fills:
            # Of who looks at its fills and has spoken of none it is not known of the first ones either.
            silent = not self._noticed and looks_at_fills(self._strategy)
            if fill.id not in self._noticed and not silent:
                self.told.fills += await self._strategy.fill(fill)
                continue
            self.told.fills += 1
            place = self._noticed.get(fill.id)
            feed = (
                None if place is None else self._feeds.all.get((place[0].source, place[0].symbol))
            )
            if place is not None and feed is not None:
                waiting = self._unnoticed.setdefault((place[0].source, place[0].symbol), [])
                waiting.append((feed.find(place, self._feeds.tick(place)) + 1, fill))

    async def _obey(self, rules: Mapping[str, Any]) -> None:
        mandate: Mandate = self._mandate
        halted, before = rules["halted"], self._rules
        if halted and (halted, rules["flatten"]) != (before["halted"], before["flatten"]):
            await self._keep(await mandate.halt(halted, flatten=rules["flatten"]))
        elif before["halted"] and not halted:
            await self._keep(await mandate.resume())
        risk = dict(rules["trading"].get("risk", {}))
        if risk != mandate.plugin.trading.risk:
            await mandate.limit(risk)
        self._rules = dict(rules)


def first_taken(pieces: Iterable[Piece]) -> dict[Key, int]:
    """Return the number of the first tick that these pieces tell of, by feed."""
    first: dict[Key, int] = {}
    for piece in pieces:
        for taken in _ticks(piece):
            if taken.key is not None:
                first.setdefault(taken.key, taken.seq)
    return first


def begins_at(
    pieces: Sequence[Piece], feeds: CapturedFeeds, history: int
) -> tuple[int | None, str]:
    """Return from which of the pieces on a replay can go, and else, or of the first one, why it cannot.

    Everything that was taken has to be captured, and so much before it that the strategy knows what it
    knew; the rules of trading and the costs have to be those of the end.
    """
    why = "nothing was taken yet"
    for index in range(len(pieces)):
        found = _obstacle(pieces[index:], feeds, history)
        if not found:
            return index, why if index else ""
        if not index:
            why = found
    return None, why


def _obstacle(pieces: Sequence[Piece], feeds: CapturedFeeds, history: int) -> str:
    if not pieces[0].known:
        return "what the ledger held then was not kept: it has too many symbols"
    if any(_lasting(piece.rules) != _lasting(pieces[-1].rules) for piece in pieces):
        return "its capital, position rules, costs or the spacing of its curve were others then"
    first = first_taken(pieces)
    if not first:
        return "nothing was taken yet"
    for key, seq in first.items():
        begins = feeds.begins(key)
        named = f"{key.symbol} of {key.source}"
        if begins is None or begins > seq:
            return f"the capture of {named} begins after the first tick that was taken"
        feed = feeds.all.get((key.source, key.symbol))
        before = 0 if feed is None else feed.find((key, seq), None)
        whole = feed is not None and bool(feed.spans) and feed.spans[0][1] == 1
        if before < history and not whole:
            return (
                f"the capture of {named} has {before} ticks before the first that was taken, and"
                f" the strategy is given {history}"
            )
    return ""


def _lasting(rules: Mapping[str, Any]) -> str:
    """Return the rules that a replay cannot change on its way."""
    lasting = {name: each for name, each in rules.items() if name not in {"halted", "flatten"}}
    lasting["trading"] = {**rules["trading"], "risk": None}
    return json.dumps(lasting, sort_keys=True)


def _ticks(piece: Piece) -> Iterable[Taken]:
    return (taken for taken in read(piece.steps) if taken.key is not None)
