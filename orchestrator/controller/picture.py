"""One look at the world, and what it teaches: a whole listing, the newest beats, records brought up to date."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from orchestrator.controller.desk import Desk
from orchestrator.controller.halt_book import HaltBook
from orchestrator.controller.journal import Journal
from orchestrator.controller.memories import Memories
from orchestrator.controller.outside import Outside
from orchestrator.decide.causes import fell_back
from orchestrator.decide.memory import is_ready, remember, renew
from orchestrator.decide.push import runs
from orchestrator.decide.silence import hearing
from orchestrator.decide.state import Instance, Observed, Phase, Record
from orchestrator.decide.words import reason, sentence
from orchestrator.errors import ActionError, UnreachableError

BROKER = "broker"


class Picture:
    def __init__(
        self,
        outside: Outside,
        desk: Desk,
        memories: Memories,
        journal: Journal,
        halts: HaltBook,
    ) -> None:
        self._outside = outside
        self._desk = desk
        self._memories = memories
        self._journal = journal
        self._halts = halts

        self._hearing: datetime | None = None

    async def look(self) -> Observed:
        """Return what is there. Blind (`instances` None): the runtime or the store does not answer.

        Without the store nothing may be done either: it could not be remembered.
        """
        instances = await self._list()
        observed = self.with_beats(Observed(instances, records=self._memories.all()))
        now, policy = self._outside.now(), self._outside.policy
        self._hearing = hearing(self._hearing, observed.heard.values(), now=now, policy=policy)
        observed = replace(observed, hearing_since=self._hearing)
        try:
            self._align()
            self._remember(replace(observed, records=self._memories.all()))
        except UnreachableError:
            observed = replace(observed, instances=None)
        return replace(observed, records=dict(self._memories.all()))

    def with_beats(self, observed: Observed) -> Observed:
        """Return `observed` with what came without being asked for: the newest beats, a person's halts."""
        heard = self._outside.bus.beats()
        return replace(
            observed,
            beats={name: beat for name, (beat, _) in heard.items()},
            heard={name: at for name, (_, at) in heard.items()},
            listening_since=self._outside.bus.listening_since,
            halts=self._halts.now,
        )

    async def _list(self) -> Mapping[str, Instance] | None:
        try:
            async with asyncio.timeout(self._outside.tempo.look.total_seconds()):
                found = await self._outside.runtime.observe()
        except (UnreachableError, ActionError, TimeoutError) as error:
            words = str(error) or "the listing took too long"
            self._journal.condition(
                "RuntimeReachable", status=False, reason="NotAnswering", message=words
            )
            return None
        self._journal.condition("RuntimeReachable", status=True, reason="Answers")
        return found

    def _align(self) -> None:
        """Bring records to the wanted generations: what an apply that was cut off has left to do."""
        now, records = self._outside.now(), self._memories.all()
        back = set(self._desk.goes_back(records))
        aligned: dict[str, Record] = {}
        for name, entry in self._desk.book.entries.items():
            record = self._memories.of(name)
            if record.generation != entry.wanted:
                aligned[name] = renew(record, now, number=entry.wanted)
            elif record.failed_generation == record.generation and name not in back:
                # What it went back to is not kept any more: the wanted one has another chance.
                aligned[name] = replace(record, failed_generation=0, begun=None)
        if self._desk.book.entries and self._memories.of(BROKER).generation == 0:
            aligned[BROKER] = renew(Record(), now)
        self._memories.put_all(aligned)

    def _remember(self, observed: Observed) -> None:
        now, policy = self._outside.now(), self._outside.policy
        back = set(self._desk.goes_back(observed.records))
        before = dict(observed.records)
        fresh = {
            name: remember(
                name,
                observed,
                now=now,
                policy=policy,
                timeout=entry.now.spec.timeout,
                fallback=name in back,
            )
            for name, entry in self._desk.book.entries.items()
        }
        if BROKER in before:
            fresh[BROKER] = remember(
                BROKER, observed, now=now, policy=policy.of_system(), beats=False
            )
        self._memories.put_all(fresh)
        for name, record in fresh.items():
            if record != before.get(name):
                self._tell(before.get(name, Record()), record, name, observed)

    def _tell(self, before: Record, after: Record, name: str, observed: Observed) -> None:
        end, instance = after.last_exit, (observed.instances or {}).get(name)
        if end is not None and end != before.last_exit:
            limit = instance.usage.memory_limit if instance else 0
            self._journal.warn(name, reason(end), sentence(end, memory_limit=limit))
        if instance is not None and after.pushing is None and before.pushing is not None:
            cause = self._desk.between(name, runs(before, instance), after.pushed_generation)
            self._journal.note(name, "Pushed", cause or "it was told once more")
        if after.gave_up and not before.gave_up:
            self._journal.warn(name, "GaveUp", f"{after.failures} failures in a row")
        if after.failed_generation and after.failed_generation != before.failed_generation:
            self._journal.warn(name, "FellBack", fell_back(after))


def changed(before: Mapping[str, Instance], now: Mapping[str, Instance]) -> set[str]:
    """Return the names that came or went, or are in another life or another phase of it."""
    gone = before.keys() - now.keys()
    return gone | {
        name
        for name, each in now.items()
        if name not in before or (each.id, each.phase) != (before[name].id, before[name].phase)
    }


def awaited(observed: Observed) -> bool:
    """Tell whether somebody's next beat will change what we do: it is not ready yet, or was told something."""
    return any(each.pushing is not None for each in observed.records.values()) or any(
        not is_ready(name, observed)
        for name, each in (observed.instances or {}).items()
        if each.phase is Phase.RUNNING and name != BROKER
    )
