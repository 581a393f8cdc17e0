"""Everything the controller can do to the world, on one page.

Every call has a deadline of its own and raises only `orchestrator.errors`: UnreachableError when
nothing answered (we are blind: mutate nothing), ActionError when the answer was no. Every call is
idempotent: after a crash it is simply made again.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, Self

from ntp.contract.beat import Beat
from ntp.contract.problem import Problem
from orchestrator.captures import Captures
from orchestrator.decide.alerts import Alert
from orchestrator.decide.state import Instance, Isolation, Record
from orchestrator.errors import ActionError
from orchestrator.launch import Environment, Launch
from orchestrator.letters import Letters
from orchestrator.spec.model import Artifact, Resources, Rights, SecretRef, Wanted


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a runtime can do, so that `plan` need not know which one it is."""

    update_in_place: bool
    restarts_by_itself: bool
    max_instances: int | None = None
    reads_kernel: bool = True
    """`Instance.usage` is read from control groups, and unused CPU time is kept: the kernel is at hand."""
    limits_processes: bool = True
    """`Resources.pids` holds."""
    bounds_storage: bool = True
    """Who fills its storage is ended with StorageFull; else the volume itself may refuse to take more."""
    keeps_output: bool = True
    """Of all lives and by stream, in a bounded place of ours; else what the platform keeps of the last."""
    runs_folders: bool = True
    """`Launch.code` is a folder here; else all code has to be in the image."""
    hurries: bool = True
    """A stop with less grace overtakes one that waits; else it waits for the grace of that one."""
    at_once: int | None = None
    """How many starts, and how many stops, it takes at once; None: what is good for one machine."""


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    stream: str
    """stdout, stderr, or ntp for a line of the runtime itself."""
    text: str


class Runtime(Protocol):
    """Starts, stops and shows containers. Names are unique: that is the lock against doubles."""

    name: str
    capabilities: Capabilities

    async def observe(self) -> Mapping[str, Instance]:
        """Return every instance of this project, one listing, exits included until removed."""

    async def start(self, launch: Launch) -> None:
        """Create and start, or adopt: an instance that runs with the same generation and attempt is
        left alone; a half-made or exited one of that name is replaced; a running other one raises
        ConflictError. Returns when the process was started, not when it is ready.
        """

    async def stop(self, name: str, *, grace: timedelta, cause: str) -> None:
        """SIGTERM, wait at most `grace`, kill the whole cgroup. Absent or stopped is success."""

    async def remove(self, name: str, *, delete_data: bool) -> None:
        """Forget an instance and everything of it but its storage; that too with `delete_data`."""

    async def update(self, name: str, resources: Resources) -> None:
        """Change limits in place; ActionError if the kernel refuses (a limit below what is used)."""

    def logs(self, name: str, *, follow: bool, tail: int) -> AsyncIterator[LogLine]: ...

    def events(self) -> AsyncIterator[None]:
        """Yield when something may have changed. Carries no data, so none can be lost."""

    def no_own_network(self) -> Problem | None:
        """Why no instance can be given a network of its own (`Launch.own`) as of now, and what to do."""

    async def isolation(self) -> Isolation:
        """Return what this runtime can enforce here, by having tried (for `doctor`)."""

    async def close(self, *, delete_data: bool) -> None:
        """After the last remove: delete whatever this runtime made for the project as a whole."""


class Broker(Protocol):
    """Who may say what to whom; and the embedded broker itself."""

    def launch(self) -> Launch | None:
        """The broker as a system instance, or None where an external NATS serves."""

    def address(self) -> str:
        """host:port that plugins ask the door for; of a cluster several, separated by commas."""

    async def ensure(
        self, rights: Mapping[str, Rights], granted: Callable[[str], None] = ...
    ) -> Mapping[str, ActionError]:
        """Make accounts, streams and consumers exactly these; disturb nobody whose rights stay.

        `granted` is told each instance that may be started, as soon as it may: nothing that it says
        is lost then. Returns those that were refused something, and what, under the empty name what
        could not be removed; all others may be started.
        """

    @property
    def letters(self) -> Letters: ...
    @property
    def captures(self) -> Captures: ...
    def credentials(self, instance: str) -> bytes:
        """The .creds file of one instance (user JWT and seed); the same one until rotated."""

    async def rotate(self, rights: Rights) -> None:
        """Make another credential of one instance, whose rights are these, and refuse those before it
        from now on: whoever is connected with one is cut off.
        """

    def tapped(self, rights: Rights, lifetime: timedelta) -> AbstractAsyncContextManager[bytes]:
        """Credentials of a passing listener with these rights; good for one connection, while the
        block lasts, and at most `lifetime`. Disturbs nobody.
        """

    async def check(self) -> Sequence[str]:
        """Version and settings that would break our promises, in words; empty: all is well."""


class Bus(Protocol):
    """The controller's own connection."""

    listening_since: datetime | None

    def beats(self) -> Mapping[str, tuple[Beat, datetime]]:
        """The last beat of each instance and when it arrived."""

    def changes(self) -> AsyncIterator[str]:
        """Names of instances whose beat changed its stage, incarnation, conditions or pushed config."""

    def attend(self, *, closely: bool) -> None:
        """Say whether somebody waits for what beats say: if not, each may be heard a little later."""

    async def control(self, instance: str, payload: Mapping[str, Any]) -> None:
        """Send to one plugin, at most once; that it arrived is not known from this."""


class Catalog(Protocol):
    """Finds plugins; installs what they need. Runs no plugin code in this process."""

    async def resolve(
        self, wanted: Sequence[Wanted]
    ) -> tuple[Mapping[str, Artifact], Sequence[Problem]]:
        """By entry name. A plugin that is not found is a Problem that lists the places looked in.

        A lone file that cannot be imported is found, and its artifact `unusable`.
        """

    async def prepare(self, artifact: Artifact) -> Environment:
        """Install once, hash-locked, into a cached read-only environment; ActionError says why not."""

    async def image_of(self, artifact: Artifact, *, ran: bool = False) -> str | None:
        """Return the digest of the image that `prepare` would give; empty: it has to be built first.

        None: this catalog gives no images. `ran`: of one that runs, whatever is built on by now.
        """


class Secrets(Protocol):
    def resolve(self, reference: SecretRef) -> str:
        """Return the value; KeyError-free: ActionError(reason='SecretMissing') names the reference."""

    def digest(self, reference: SecretRef) -> str:
        """A keyed digest for the hash, so that a rotation is noticed and nothing is revealed."""

    def passing(self, values: Mapping[str, str], folder: Path | None) -> Self:
        """Return these secrets with `values` (variable -> value) before all others, kept in memory
        only; relative files and `.env` are looked for in `folder`.
        """


@dataclass(frozen=True, slots=True)
class Revision:
    """One applied state of the user's files. `sources`: (file, text) in order."""

    number: int
    applied: datetime
    sources: tuple[tuple[str, str], ...]
    resolved: Mapping[str, str]
    """Entry name -> artifact digest."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else decided the result: PLUGIN_* values, project folder."""
    change: str = ""
    """What it changed against the one before it, in one line; empty where a release did not write it."""

    def declares_as(self, other: "Revision") -> bool:
        """Whether files, code and settings are those of `other`."""
        same = replace(other, number=self.number, applied=self.applied, change=self.change)
        return same == self


@dataclass(frozen=True, slots=True)
class Event:
    """One decision or observation, for `ntpctl events`."""

    at: datetime
    name: str
    """Instance, or empty for the project."""
    type: str
    reason: str
    message: str
    count: int = 1


KEEPING_S = 10.0
"""The longest that anybody waits for what was put to be kept."""


class Store(Protocol):
    """Desired state and the memory of the loop; durable and atomic, one writer."""

    @property
    def repaired(self) -> str:
        """What was found damaged and left out, in words, until `acknowledge`; empty: nothing."""

    def current(self) -> Revision | None: ...
    def save(self, revision: Revision, *, expect: int | None) -> None:
        """ConflictError if the newest number is not `expect`."""

    def revisions(self) -> Sequence[Revision]: ...
    def records(self) -> Mapping[str, Record]: ...
    def put(self, name: str, record: Record) -> None: ...
    def put_all(self, records: Mapping[str, Record]) -> None:
        """As `put`, for many at once and all or none."""

    def forget(self, name: str) -> None: ...
    def log(self, event: Event) -> None: ...
    def events(self, *, name: str | None, limit: int) -> Sequence[Event]: ...
    def setting(self, key: str) -> str | None: ...
    def lost(self, setting: str) -> bool:
        """Whether a setting is not there because it was damaged, as far as that can be known."""

    def lost_records(self, names: Collection[str]) -> Sequence[str]:
        """Return those of which no record is there because it may have been damaged."""

    def numbered(self) -> int:
        """Return the highest number that a revision has, or had that was damaged; 0: there was none."""

    def acknowledge(self) -> None:
        """Forget what was damaged: somebody knows of it."""

    def set(self, key: str, value: str) -> None: ...
    async def kept(self, *, setting: str = "", record: str = "") -> None:
        """Return when a setting, or a record, is as it was put last for whoever comes after us.

        UnreachableError: it is not, after `KEEPING_S`; it may be later.
        """


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command was given, to be read in its place. `protocol` has what each part is."""

    program: tuple[int, int, int]
    files: tuple[str, ...]
    folder: str
    seen: tuple[tuple[int, int], ...]
    environment: Mapping[str, str] = field(repr=False)


class Notifier(Protocol):
    """Tells somebody outside. At least once: a message may be sent again under the same id."""

    place: str
    """Where to, as far as it may be shown."""
    signed: bool

    async def tell(self, alert: Alert) -> None:
        """UnreachableError: not now, try again; ActionError: no, and trying again cannot help."""


class Lease(Protocol):
    """At most one controller acts. The epoch grows with every holder and goes with every mutation."""

    epoch: int

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc: object) -> None: ...
    def held(self) -> bool: ...
