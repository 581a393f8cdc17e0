"""All that the loop can be told to do; each with a cause that a person can read."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Start:
    name: str
    generation: int
    attempt: int
    cause: str


class StopReason(StrEnum):
    """Why a life was ended by us. Only UNRESPONSIVE counts as a failure of the plugin."""

    CHANGED = "Changed"
    UNWANTED = "Unwanted"
    BY_HAND = "ByHand"
    RESTART = "Restart"
    UNRESPONSIVE = "Unresponsive"


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain (SIGTERM), wait the grace, kill the cgroup; the dead instance stays to be read."""

    name: str
    cause: str
    reason: StopReason = StopReason.UNWANTED


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a stopped instance; `storage` too only with `delete_data`."""

    name: str
    cause: str
    delete_data: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """Change limits of the running instance in place."""

    name: str
    cause: str


@dataclass(frozen=True, slots=True)
class Push:
    """Tell a running data source its symbols, an executor its limits: those of `generation`."""

    name: str
    generation: int
    cause: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Tell the running executor who is halted, as of that change."""

    name: str
    number: int
    cause: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing yet, and until when; shown in status."""

    name: str
    until: datetime | None
    cause: str


Action = Start | Stop | Remove | Update | Push | Halt | Wait
