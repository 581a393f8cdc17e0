"""Observed state: what is there, as one frozen picture taken at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ntp.contract.beat import Beat
from orchestrator.decide.halts import Halts


@dataclass(frozen=True, slots=True)
class Hashes:
    """The layers of one entry; which one differs says what a change costs (architecture.md, 3)."""

    identity: str
    resources: str
    wiring: str
    config: str
    policy: str


class Phase(StrEnum):
    CREATED = "created"
    """Half made: not running yet, or never was."""
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Isolation:
    """What is really active around one plugin, probed and read back. Tier 3 is full, 0 is none."""

    tier: int
    active: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exit:
    """How one process life ended. Exactly one of `code` and `signal` is set, or neither: unknown.

    `termination` is the runner's own last words (reason, message, permanent), if it left any.
    """

    at: datetime
    code: int | None = None
    signal: int | None = None
    oom: bool = False
    reason: str = ""
    """CamelCase from the runtime or the runner: OOMKilled, CallbackTimeout, ConfigRefused, … or empty."""
    message: str = ""
    permanent: bool = False
    memory_peak: int = 0
    last_output: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Read from the kernel. Bytes; CPU seconds used; how often a limit bit."""

    memory: int = 0
    memory_peak: int = 0
    memory_limit: int = 0
    cpu_s: float = 0.0
    throttled_s: float = 0.0
    pids: int = 0
    pids_refused: int = 0
    at: datetime | None = None
    """When they were read, which may be some seconds before the listing; None: never."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One container of ours as the runtime shows it; everything here is in its labels or read back."""

    name: str
    generation: int
    attempt: int
    hashes: Hashes
    phase: Phase
    id: str
    """The runtime's own id of this life: pid and start time, container id, pod uid."""
    pid: int | None = None
    created: datetime | None = None
    started: datetime | None = None
    exit: Exit | None = None
    isolation: Isolation | None = None
    usage: Usage = Usage()
    refused: Mapping[str, int] = field(default_factory=dict)
    """Connections that the door refused: host:port -> count."""
    drift: str = ""
    """What of it is not as we set it, in words: `its limits: …`, `its network: …`. Somebody else did it."""
    begun_again: bool = False
    """Whatever ends it, the platform begins it again, until it is stopped."""
    last_life: str = ""
    last_exit: Exit | None = None
    """The life before this one and its end, where the platform followed it by this one unasked."""

    @property
    def rests(self) -> bool:
        """Nothing of it runs, and nobody but us begins it again."""
        return self.phase in (Phase.EXITED, Phase.CREATED) and not self.begun_again


@dataclass(frozen=True, slots=True)
class Pushing:
    """A config that was sent to a running life, which did not say yet that it took it."""

    life: str
    """Id of the life."""
    generation: int
    config: str
    """Its hash."""
    begun: datetime
    sent: datetime
    """When it was sent first, and last."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A halt, or its end, that a life was told last."""

    life: str
    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """What must survive a restart of the controller, one per instance name, kept by the Store."""

    generation: int = 0
    failures: int = 0
    """Failed lives since the last stable window."""
    not_before: datetime | None = None
    gave_up: bool = False
    stopped_by_hand: bool = False
    last_exit: Exit | None = None
    restarts: int = 0
    kills: Mapping[str, int] = field(default_factory=dict)
    """Why it was killed -> how often: memory, timeout, unresponsive, signal."""
    restart_requested: int = 0
    """Counts `ntpctl restart`; a running instance of a lower number is replaced."""
    rotate: bool = False
    """The next life is given another credential for the bus; one that runs has the old one."""
    refusal: str = ""
    """The runtime's last no to a start, in words."""
    healthy_generation: int = 0
    """The newest generation that was ready for a while: what a failed change goes back to."""
    refusal_reason: str = ""
    """CamelCase word for `refusal`: SecretMissing, InstallFailed, …"""
    refusal_permanent: bool = False
    refusals: int = 0
    """Refusals in a row: they have a back-off of their own."""
    attempt: int = 0
    """The last life of `generation` that was begun, written before it was begun."""
    wanted: datetime | None = None
    """When `generation` was first asked for."""
    begun: datetime | None = None
    """When the first life of `generation` was begun: its deadline counts from here."""
    failed_generation: int = 0
    """It was not healthy by its deadline; while it is the wanted one, `healthy_generation` runs."""
    failed_because: str = ""
    """What refused to start `failed_generation`, in words; empty: it was started, and failed."""
    counted: str = ""
    """Id of the last life whose end went into `failures`."""
    stopping: str = ""
    """Id of the life that we told to end, written before telling; `stop_reason` says why."""
    stop_reason: str = ""
    replace: str = ""
    """Id of the life that `ntpctl restart` is to replace."""
    updated: str = ""
    """Id of the life whose limits were changed in place to those of hash `updated_resources`."""
    updated_resources: str = ""
    pushing: Pushing | None = None
    """Written before it is sent."""
    pushed: str = ""
    """Id of the life that was brought to `pushed_generation` while it ran: it said that it took its
    config, or was given its limits."""
    halt_sent: Sent | None = None
    """Written before it is sent."""
    pushed_generation: int = 0
    pushed_config: str = ""
    """Hash of the config that it has; no label shows it."""


@dataclass(frozen=True, slots=True)
class Observed:
    """`instances` None: the runtime did not answer, we are blind. `listening_since` None: no bus."""

    instances: Mapping[str, Instance] | None
    beats: Mapping[str, Beat] = field(default_factory=dict)
    heard: Mapping[str, datetime] = field(default_factory=dict)
    """When the last beat of each instance arrived."""
    records: Mapping[str, Record] = field(default_factory=dict)
    listening_since: datetime | None = None
    halts: Halts = field(default_factory=Halts)
    hearing_since: datetime | None = None
    """Since when beats of anybody have been arriving without a gap; None: nobody is heard."""
