"""Everything that a controller is given: the ports, and the few settings of its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orchestrator.decide.findings import Patience
from orchestrator.decide.policy import Policy, Tries
from orchestrator.errors import ActionError, NtpError, Problem
from orchestrator.ports import Asked, Broker, Bus, Catalog, Lease, Notifier, Runtime, Secrets, Store

Settings = Mapping[str, str]
"""PLUGIN_* values and `folder` of one apply: what else decides how its files are read."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """How often and how much at once."""

    relist: timedelta = timedelta(seconds=10)
    """The longest time between two looks at the world; shortened by up to a third, by chance."""
    pause: timedelta = timedelta(milliseconds=20)
    """The shortest time between two looks, so that a burst of events is one look."""
    crowd: int = 8
    crowded: timedelta = timedelta(milliseconds=250)
    """The same, while more actions than `crowd` are under way: none of them waits for being seen at once."""
    starts: int = 4
    stops: int = 8
    """Of those who are started anew: who waits for his turn to start does not run meanwhile."""
    farewells: int = 16
    """Of those who are not; more would take from each other what a grace is for."""
    act: timedelta = timedelta(minutes=15)
    """The longest that one action may take; installing requirements is part of a start."""
    look: timedelta = timedelta(seconds=30)
    """The longest that a listing may take; then the runtime counts as not answering."""
    fresh: timedelta = timedelta(seconds=2)
    """How long a question waits for a fresh look; then the last one has to do."""
    first_retry: timedelta = timedelta(milliseconds=250)
    longest_retry: timedelta = timedelta(seconds=30)
    """When something outside did not answer."""
    most_actions: int = 12
    """Of one plugin within `flapping`; more is no progress, and it is parked."""
    flapping: timedelta = timedelta(minutes=1)
    parked: timedelta = timedelta(minutes=5)
    capture: timedelta = timedelta(seconds=10)
    """How long somebody who wants ticks captured waits until they are."""
    follow: timedelta = timedelta(milliseconds=250)
    """Between two looks at files that are followed."""
    settled: timedelta = timedelta(milliseconds=750)
    """How long an edit has to stay as it is before it counts: nobody is still writing it."""
    alerts: timedelta = timedelta(seconds=1)
    """Between two looks for what somebody should be told."""
    unfinished: timedelta = timedelta(seconds=5)
    """The same, where a file ends within a line: more may be on its way."""

    def rest(self, going: int) -> float:
        """Return the shortest time between two looks while so many actions are under way, seconds."""
        return self.crowded.total_seconds() if going > self.crowd else 0.0


@dataclass(frozen=True, slots=True)
class Edit:
    """Files as they are now, with what else decides the result; or why they cannot be read."""

    sources: tuple[tuple[str, str], ...] = ()
    settings: Settings = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()
    deletable: frozenset[str] = frozenset()
    """Names of plugins that may go, however many: whoever edited says so of them."""


async def _at_once() -> None:
    """They are in a folder that stays."""


@dataclass(frozen=True, slots=True)
class Outside:
    project: str
    runtime: Runtime
    broker: Broker
    bus: Bus
    catalog: Callable[[Settings], Catalog]
    store: Store
    secrets: Secrets
    lease: Lease
    policy: Policy = field(default_factory=Policy)
    tempo: Tempo = field(default_factory=Tempo)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    version: str = ""
    state_folder: str = ""
    notifier: Notifier | None = None
    """None: nobody outside is told of anything."""
    patience: Patience = field(default_factory=Patience)
    tries: Tries = field(default_factory=Tries)
    followed: Callable[[], Edit] | None = None
    """The files that are followed, read anew at each call, in a thread; None: none are."""
    decided: Callable[[Edit, NtpError | None], None] = lambda _edit, _error: None
    """Told of each edit that is followed: that it stands, or why it was refused."""

    reread: Callable[[Asked], Edit | None] = lambda _asked: None
    """What the files say that a command would read, read anew in a thread; None: it has to read them itself."""
    keys_kept: Callable[[], Awaitable[None]] = _at_once
    """Returns when whoever comes after us finds the keys of the bus; UnreachableError: not now."""

    def broker_address(self) -> str:
        """Return where plugins find the broker; empty: that is not known yet."""
        try:
            return self.broker.address()
        except ActionError:
            return ""
