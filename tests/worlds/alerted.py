"""A simulated world that is looked at for alerts, by controllers that come and go."""

from dataclasses import dataclass, field, replace

import msgspec

from ntp.contract.beat import Condition
from orchestrator.decide.alerts import Alert, Book, step
from orchestrator.decide.findings import Patience, look, of_project
from orchestrator.decide.memory import beat_of
from orchestrator.decide.report import FlowTotals
from orchestrator.decide.status import Seen, statuses
from tests.worlds.simulation import Simulation

PATIENCE = Patience()


@dataclass
class Alerted:
    """Attributes: what plugins say of themselves, and all that was ever sent."""

    world: Simulation
    book: Book = field(default_factory=Book)
    warnings: dict[str, dict[str, str]] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    rate: dict[str, float] = field(default_factory=dict)
    unsound: list = field(default_factory=list)
    """Conditions of the project."""
    sent: list[Alert] = field(default_factory=list)

    def look(self, *, blind: bool = False) -> list[Alert]:
        """Return what is sent now."""
        world = self.world
        if not blind:
            world.remember()
        observed = world.observed(blind=blind)
        beats = {
            name: replace_beat(beat, self.warnings.get(name, {}), world.now)
            for name, beat in observed.beats.items()
        }
        observed = replace(observed, beats=beats)
        flows = {
            name: FlowTotals(sent_per_s=self.rate.get(name, 1.0), lost=self.lost.get(name, 0))
            for name in beats
            if beat_of(name, observed) is not None
        }
        plugins = statuses(
            world.desired, observed, world.plan(blind=blind), now=world.now, seen=Seen(flows=flows)
        )
        known, findings = look(
            self.book.known,
            plugins,
            observed.records,
            limits={n: each.resources.memory for n, each in world.desired.plugins.items()},
            listening=observed.listening_since is not None,
            now=world.now,
            patience=PATIENCE,
        )
        found = [*findings, *of_project(self.unsound, PATIENCE)]
        self.book, sent = step(
            replace(self.book, known=known),
            found,
            wanted=world.desired.plugins.keys(),
            project="desk",
            now=world.now,
        )
        self.sent += sent
        return sent

    def told(self, **how) -> list[tuple[str, str, str]]:
        """Look, and return status, plugin and reason of what is sent."""
        return [(str(a.status), a.plugin, str(a.reason)) for a in self.look(**how)]

    def restart(self) -> None:
        """Another controller reads what this one wrote."""
        written = msgspec.json.encode(self.book)
        self.book = replace(msgspec.json.decode(written, type=Book), waiting={})


def replace_beat(beat, warnings, now):
    conditions = [
        Condition(word, status=True, reason=word, message=text, since=now)
        for word, text in warnings.items()
    ]
    return msgspec.structs.replace(beat, conditions=conditions)
