"""What the controller tells: frozen data, printed as it is by `--output json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ntp.contract.beat import Beat, LatestSignal, Replayed
from ntp.contract.problem import Problem
from orchestrator.decide.changes import Change
from orchestrator.decide.state import Exit, Isolation, Usage


@dataclass(frozen=True, slots=True)
class Condition:
    """`since`: when `status` and `reason` last changed."""

    type: str
    status: bool
    reason: str
    message: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class FlowTotals:
    """Counts of the running life; rates are of the last seconds."""

    sent: int = 0
    received: int = 0
    sent_per_s: float = 0.0
    received_per_s: float = 0.0
    lost: int = 0
    late: int = 0
    refused: int = 0
    last_refusal: str = ""
    skew_s: float | None = None


@dataclass(frozen=True, slots=True)
class PluginStatus:
    name: str
    kind: str
    plugin: str
    version: str
    state: str
    """One CamelCase word; docs/errors.md explains them."""
    message: str
    """The sentence that a trader understands, with what to do."""
    ready: bool
    """The wanted generation runs and says that it is ready, and nothing is planned for it."""
    generation: int
    restarts: int
    place: str
    since: datetime | None = None
    """Since when `state` holds."""
    started: datetime | None = None
    kills: Mapping[str, int] = field(default_factory=dict)
    """Why it was killed -> how often, of all its lives."""
    next_try: datetime | None = None
    stage: str = ""
    conditions: Sequence[Condition] = ()
    isolation: Isolation | None = None
    usage: Usage = field(default_factory=Usage)
    cpu_share: float | None = None
    """Cores used of late."""
    last_exit: Exit | None = None
    last_output: Sequence[str] = ()
    flow: FlowTotals | None = None
    signal: LatestSignal | None = None
    """A strategy's newest of this life."""
    replayed: Replayed | None = None
    """What this life was shown before it was ready."""
    indicators: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Its `get_indicators()`, by symbol."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """Its `report()`; an executor's has its book of each strategy."""
    egress: Sequence[str] = ()
    """What it may reach beyond the bus, as `network.egress` lists it."""
    egress_mapped: Mapping[str, str] = field(default_factory=dict)
    """Those of them that are not the real ones: host:port -> address:port."""
    egress_refused: Mapping[str, int] = field(default_factory=dict)
    halted: str = ""
    """How a strategy or executor is halted by hand, and what clears that; empty: it is not."""
    halt_pending: str = ""
    """Why an executor that runs may not obey the newest halt, or its end, yet."""
    dead_letters: int | None = None
    """Messages that it could not take, and that wait for a person; None: they were not counted yet."""


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    project: str
    revision: int
    at: datetime
    conditions: Sequence[Condition]
    plugins: Sequence[PluginStatus]


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts`: of each bound those at most so great and above the bound before; the last: the rest."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class AlertFigures:
    """`open`: plugin (empty: the project) and reason. Counts of messages, over restarts."""

    open: tuple[tuple[str, str], ...]
    delivered: int
    failed: int
    """Given up."""
    retries: int
    suppressed: int
    """Never sent, for there were too many."""
    waiting: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What a controller counts of itself. `passes`: seconds each. `alerts` None: it has no webhook."""

    passes: Histogram
    alerts: AlertFigures | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    problems: Sequence[Problem] = ()
    changes: Sequence[Change] = ()
    differs: bool = False
    guard: str = ""
    revision: int = 0
    entry_problems: Sequence[Problem] = ()
    """Each of one entry, which cannot be started; all others can."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Of entries that name an image: the reference by the digest that applying would take."""


@dataclass(frozen=True, slots=True)
class Progress:
    ready: int
    total: int
    name: str
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class Waiting:
    name: str
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    revision: int
    ready: bool
    plugins: Sequence[PluginStatus]
    waiting: Sequence[Waiting] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What was applied last was applied once more, and there was nothing to do.

    `same`: how many run as declared; `ready`: how many are ready, which all are.
    """

    revision: int
    same: int
    ready: int


@dataclass(frozen=True, slots=True)
class Downed:
    removed: Sequence[str]
    kept: Sequence[str]
    """Instances whose storage is kept."""


@dataclass(frozen=True, slots=True)
class Capturing:
    """Whether the bus captures for `names`, or will with their first start; `message`: why not."""

    names: Sequence[str]
    ready: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class BrokerInfo:
    address: str
    state: str
    message: str
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class WebhookInfo:
    """`place`: scheme, host and port; the rest of the address is a secret."""

    place: str
    signed: bool
    delivered: int
    failed: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Info:
    project: str
    version: str
    python: str
    pid: int
    epoch: int
    started: datetime
    revision: int
    applied: datetime | None
    runtime: str
    isolation: Isolation | None
    broker: BrokerInfo
    listening_since: datetime | None
    conditions: Sequence[Condition]
    state_folder: str
    webhook: WebhookInfo | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    heard: datetime
    beat: Beat


@dataclass(frozen=True, slots=True)
class Tap:
    """How to hear what one plugin says."""

    name: str
    address: str
    """host:port of the broker."""
    credentials: str = field(repr=False)
    """A .creds file, for one connection that may listen only."""
    subjects: Sequence[str]
    """All that there is to hear."""
    ends: datetime
    """When the credentials end, if nobody ends them before."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that `receiver` could not take. What it said of it may be missing: empty, or 0.

    Attributes:
        signal: the id of the signal or of the fill.
        message: why, in words; `reason` in one.
        tries: how many lives began it.
        sent: when it was stored, at `place` of `stream`; `kept`: when it was given up.
        size: bytes of it.
        cut: only its beginning is kept.
    """

    id: str
    number: int
    receiver: str
    sender: str
    kept: datetime
    size: int
    payload: bytes = field(repr=False, default=b"")
    symbol: str = ""
    reason: str = ""
    message: str = "its receiver says nothing of it that can be read"
    tries: int = 0
    signal: str = ""
    sent: datetime | None = None
    stream: str = ""
    place: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetterInFull:
    """`text`: the message as it came, harmless to a terminal. `refusal`: why no retry can be; or empty."""

    letter: DeadLetter
    text: str
    refusal: str


@dataclass(frozen=True, slots=True)
class LettersDone:
    """`failed`: id -> why."""

    done: Sequence[str]
    failed: Mapping[str, str]
