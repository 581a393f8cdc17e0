"""What applying would do to each plugin, from here to the end: the text of `ntpctl plan`.

`plan` names only the next step (a recreated plugin is stopped first); this names the whole way.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from ntp.contract.beat import Beat
from ntp.contract.names import Kind
from orchestrator.decide.context import Capabilities
from orchestrator.decide.layers import differing
from orchestrator.decide.memory import NOBODY, beat_of, labelled
from orchestrator.decide.push import Way, course
from orchestrator.decide.state import Hashes, Instance, Observed, Phase, Record
from orchestrator.spec.egress import mapped, written
from orchestrator.spec.model import Desired


class Do(StrEnum):
    START = "start"
    RECREATE = "recreate"
    UPDATE = "update"
    PUSH = "push"
    REMOVE = "remove"
    KEEP = "keep"
    REFUSE = "refuse"
    """It cannot be started as it is; what runs of it is left alone."""


@dataclass(frozen=True, slots=True)
class Change:
    name: str
    kind: str
    """Empty for an instance that is not in the files."""
    do: Do
    cause: str
    stops: bool
    """Something that runs now will stop, if only for a moment."""
    egress: tuple[str, ...] = ()
    """What it may reach beyond the bus, as host:port."""
    egress_mapped: Mapping[str, str] = field(default_factory=dict)
    """Those of them that lead to another address."""
    image: str | None = None
    """Digest of the image that it would be started from; empty: it is built first. None: nothing is
    started, or the runtime uses no images.
    """
    image_before: str = ""
    """Digest of the image that runs."""

    @property
    def says_nothing(self) -> bool:
        """It runs as declared, and nobody needs to be told anything of it."""
        return self.do is Do.KEEP and not self.cause and not self.egress_mapped


def changes(
    desired: Desired,
    observed: Observed,
    *,
    hashes: Mapping[str, Hashes],
    capabilities: Capabilities,
    system: Iterable[str] = (),
    difference: Callable[[str], str] = lambda _name: "",
    pushable: Callable[[str], bool] = lambda _name: False,
    unusable: Mapping[str, str] | None = None,
    withheld: Mapping[str, str] | None = None,
    storing: Collection[str] = (),
) -> list[Change]:
    """Return one change for each plugin that is wanted or there, sorted by name.

    Blind (`observed.instances` None), what runs is unknown and nothing can be said: no changes.
    `difference` says in words what of a running plugin is to be changed, `pushable` whether that is
    no more than what a running life can be told; `unusable` has the reason, in one word, of those whose
    plugin cannot be started, `withheld` of those whose secrets are missing, for which nobody who runs
    unchanged is troubled; `storing` those that run with storage of their own.
    """
    if observed.instances is None:
        return []
    found: list[Change] = []
    for name in sorted({*desired.plugins, *observed.instances} - {*system}):
        instance = observed.instances.get(name)
        spec = desired.plugins.get(name)
        alive = instance is not None and instance.phase is not Phase.EXITED
        if spec is None:
            kept = "; its storage is kept" if name in storing else ""
            cause = f"no longer in plugins.yaml{kept}"
            found.append(Change(name, "", Do.REMOVE, cause, alive))
            continue
        reach, led = tuple(written(host) for host in spec.egress), mapped(spec.detours)
        if observed.records.get(name, NOBODY).stopped_by_hand:
            cause = f"stopped by hand, not in plugins.yaml; `ntpctl start {name}` clears it"
            found.append(Change(name, spec.kind.value, Do.KEEP, cause, False, reach, led))
            continue
        kept = "; the one before keeps running" if alive else ""
        if unusable and name in unusable:
            cause = f"{unusable[name]}{kept}"
            found.append(Change(name, spec.kind.value, Do.REFUSE, cause, False, reach, led))
            continue
        record = observed.records.get(name, NOBODY)
        do, cause = _compare(
            instance,
            record,
            hashes[name],
            in_place=capabilities.update_in_place,
            pushable=partial(pushable, name),
            beat=beat_of(name, observed),
            told=difference,
        )
        if do is Do.KEEP and spec.kind in {Kind.STRATEGY, Kind.EXECUTOR}:
            cause = observed.halts.words(name)
        if withheld and name in withheld and do in (Do.START, Do.RECREATE):
            do, cause = Do.REFUSE, f"{withheld[name]}{kept}"
        found.append(Change(name, spec.kind.value, do, cause, do is Do.RECREATE, reach, led))
    return found


def differs(found: Iterable[Change]) -> bool:
    return any(each.do is not Do.KEEP for each in found)


_DO = {Way.RECREATE: Do.RECREATE, Way.UPDATE: Do.UPDATE, Way.PUSH: Do.PUSH}


def _compare(
    instance: Instance | None,
    record: Record,
    wanted: Hashes,
    *,
    in_place: bool,
    pushable: Callable[[], bool],
    beat: Beat | None,
    told: Callable[[str], str],
) -> tuple[Do, str]:
    if instance is None:
        return Do.START, "new"
    if instance.phase in (Phase.EXITED, Phase.CREATED):
        return Do.START, "not running"
    layers = differing(labelled(record, instance), wanted)
    way = course(layers, in_place=in_place, pushable=pushable, beat=beat)
    if not way.ways:
        return Do.KEEP, ""
    cause = told(instance.name) or f"other {', '.join(layers)}"
    return _DO[way.ways[-1]], f"{cause}; {way.why}" if way.why else cause
