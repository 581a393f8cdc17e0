"""What a plan depends on besides desired and observed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.decide.policy import Policy
from orchestrator.decide.state import Hashes

DEFAULT = Policy()


class Capabilities(Protocol):
    """What `ports.Capabilities` says of a runtime, as far as decisions need it."""

    @property
    def update_in_place(self) -> bool: ...
    @property
    def restarts_by_itself(self) -> bool: ...
    @property
    def max_instances(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Previous:
    """The healthy generation of a plugin, kept to go back to."""

    generation: int
    hashes: Hashes


@dataclass(frozen=True, slots=True)
class Context:
    """What else a plan depends on; every field has the value of a small world as default."""

    policy: Policy = DEFAULT
    system: Mapping[str, Hashes] = field(default_factory=dict)
    """Instances that come before every plugin: the embedded broker, as it is wanted. Recreated only where
    its wiring is another one: with other keys, or at another port, it serves nobody here."""
    previous: Mapping[str, Previous] = field(default_factory=dict)
    difference: Callable[[str, int], str] = lambda _name, _generation: ""
    """Says how the wanted state of a name differs from a generation of it, in words."""
    pushable: Callable[[str, int], bool] = lambda _name, _generation: False
    """Tells whether what the wanted state of a name differs in from a generation of it can be pushed."""
