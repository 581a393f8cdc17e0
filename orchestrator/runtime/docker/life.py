"""What is remembered of containers: one life each, and the picture of one look."""

from dataclasses import dataclass, field

from ntp.confine.cgroup import Group
from orchestrator.decide.state import Exit, Instance, Isolation, Usage
from orchestrator.runtime.docker import floods
from orchestrator.runtime.docker.client import Json
from orchestrator.runtime.docker.identity import Label


@dataclass
class Life:
    """What is remembered of one container."""

    label: Label
    state: str
    facts: Json
    group: Group | None = None
    usage: Usage = field(default_factory=Usage)
    read_at: float = 0.0
    isolation: Isolation | None = None
    exit: Exit | None = None
    peak: int = 0
    refused: int = 0
    flow: floods.Flow | None = None
    drift: str | None = None
    """Of its limits; None: not looked at yet. The engine's facts and our limits stay as long as this does."""
    breach: tuple[str, str] | None = None
    """Reason and cause for which it has to be stopped: something that no engine enforces."""

    @property
    def pid(self) -> int | None:
        return int(self.facts["State"]["Pid"]) or None


@dataclass
class Picture:
    """One listing: instances by name, the containers that serve all of them, and what has to go."""

    instances: dict[str, Instance] = field(default_factory=dict)
    system: dict[str, Json] = field(default_factory=dict)
    breaches: dict[str, tuple[str, str]] = field(default_factory=dict)
    networks: dict[str, Json] = field(default_factory=dict)
    """By instance, the container that holds a network of its own."""
    unused: list[str] = field(default_factory=list)
    """Instances that have such a network and do not use it."""
    strangers: list[str] = field(default_factory=list)
    """Containers that carry our labels and are none of ours."""
