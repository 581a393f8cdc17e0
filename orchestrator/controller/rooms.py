"""The parts of a controller, made once and shared."""

from dataclasses import dataclass
from typing import Self

from orchestrator.controller.acts import Acts
from orchestrator.controller.bus_rights import BusRights
from orchestrator.controller.dead_letters import DeadLetters
from orchestrator.controller.desk import Desk
from orchestrator.controller.halt_book import HaltBook
from orchestrator.controller.journal import Journal
from orchestrator.controller.launches import Launches
from orchestrator.controller.memories import Memories
from orchestrator.controller.outside import Outside
from orchestrator.controller.picture import Picture
from orchestrator.controller.replays import Replays


@dataclass(frozen=True, slots=True)
class Rooms:
    outside: Outside
    desk: Desk
    journal: Journal
    memories: Memories
    picture: Picture
    rights: BusRights
    letters: DeadLetters
    replays: Replays
    launches: Launches
    halts: HaltBook
    acts: Acts

    @classmethod
    def furnish(cls, outside: Outside) -> Self:
        desk = Desk(outside.project, outside.store)
        journal = Journal(outside.store, outside.now)
        memories = Memories(outside.store, journal)
        rights = BusRights(outside.broker, journal, outside.keys_kept)
        replays = Replays()
        halts = HaltBook(outside.store, journal)
        launches = Launches(outside, replays, halts)
        return cls(
            outside=outside,
            desk=desk,
            journal=journal,
            memories=memories,
            picture=Picture(outside, desk, memories, journal, halts),
            rights=rights,
            letters=DeadLetters(outside.broker.letters, desk, rights, journal),
            replays=replays,
            launches=launches,
            halts=halts,
            acts=Acts(
                outside,
                desk=desk,
                memories=memories,
                journal=journal,
                rights=rights,
                launches=launches,
                halts=halts,
            ),
        )
