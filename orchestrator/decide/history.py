"""What one declared state differs from another in, plugin by plugin and in one line.

Unlike `changes`, which tells what would be done to what runs, this compares two texts of which
neither needs to run: revisions of the past, or files that nobody has applied.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.decide.layers import Layers, carry_over, describe

_NAMED = 3
"""Names before `and N more`: a line is for finding a revision, `diff` has the rest."""


class Turn(StrEnum):
    ADD = "add"
    REMOVE = "remove"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Difference:
    name: str
    kind: str
    do: Turn
    what: str
    """Of a change: which fields, in words."""


def compare(old: Mapping[str, Layers], new: Mapping[str, Layers]) -> list[Difference]:
    """Return one difference for each plugin that is not the same in both, sorted by name."""
    found = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            turn = Turn.ADD if before is None else Turn.REMOVE
            found.append(Difference(name, _kind(before or after or {}), turn, ""))
        elif what := describe(before, carry_over(before, after)):
            found.append(Difference(name, _kind(after), Turn.CHANGE, what))
    return found


def line(differences: Iterable[Difference]) -> str:
    """Say it in one line; empty: nothing differs."""
    return "; ".join(_parts(list(differences)))


def _parts(found: list[Difference]) -> Iterator[str]:
    for turn, verb in ((Turn.ADD, "adds"), (Turn.REMOVE, "removes")):
        names = [each.name for each in found if each.do is turn]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield f"{verb} {', '.join(names[:_NAMED])}{more}"
    changed = [each for each in found if each.do is Turn.CHANGE]
    for each in changed[:_NAMED]:
        yield f"{each.name}: {each.what}"
    if len(changed) > _NAMED:
        yield f"and {len(changed) - _NAMED} more changed"


def _kind(of: Layers) -> str:
    return str(of.get("identity", {}).get("kind", ""))
