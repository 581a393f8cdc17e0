"""The declared world, validated, normalised, frozen: what the rest of the house works on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from ntp.contract.launch import Policy
from ntp.contract.names import Kind
from orchestrator.errors import Problem


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's files something stands; lines and columns start at 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits of one plugin. `memory` and `tmp` in bytes, `cpu` in cores."""

    memory: int
    cpu: float
    pids: int
    tmp: int


@dataclass(frozen=True, slots=True)
class HostPort:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Detour:
    """Who asks for `place` is connected to the address `to`: in tests and demonstrations."""

    place: HostPort
    to: HostPort


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A reference, never a value. `source`: env, file. `key`: variable name or path."""

    source: str
    key: str
    place: Place


@dataclass(frozen=True, slots=True)
class Input:
    """`symbols` empty: all that the producer has."""

    producer: str
    symbols: tuple[str, ...] = ()
    bars: str | None = None
    policy: Policy = "all"


@dataclass(frozen=True, slots=True)
class PluginSpec:
    """One entry, defaults filled in, its plugin resolved.

    `config` holds plain values; where a `${VAR}` stood it holds the text as written, and
    `secrets` names the references: key `config.<dotted path>` for sugar inside config, else the
    name under `secrets:`.
    """

    name: str
    kind: Kind
    plugin: str
    version: str
    digest: str
    """Content digest of code and requirements that the applied revision resolved to."""
    entrypoint: str
    config: Mapping[str, Any]
    inputs: tuple[Input, ...]
    resources: Resources
    place: Place
    history: int = 1000
    storage: int = 0
    """Bytes of the durable folder; 0: none."""
    timeout: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(seconds=5)
    egress: tuple[HostPort, ...] = ()
    network: str = "door"
    """`own`: it reaches `egress` over a network of its own, past the door."""
    detours: tuple[Detour, ...] = ()
    """Those of `egress` that are not the real ones."""
    authority: str = field(default="", repr=False)
    """With detours: certificates as PEM that it trusts instead of the system's; empty: the system's."""
    secrets: Mapping[str, SecretRef] = field(default_factory=dict)
    capital: Decimal = Decimal(10000)
    short: bool = False
    pyramid: int = 1
    risk: Mapping[str, Any] = field(default_factory=dict)
    sandbox: bool = True
    """False only by a named, confirmed exception (PLUGIN_SANDBOX=false); shown for as long as it lasts."""
    kubernetes: Mapping[str, Any] = field(default_factory=dict)
    """Where its pod runs, as `scheduling.Kubernetes` has it; plain JSON values."""


@dataclass(frozen=True, slots=True)
class Desired:
    """All enabled plugins by instance name. `revision` counts applied revisions of this project."""

    project: str
    revision: int
    plugins: Mapping[str, PluginSpec]


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a plugin that was found cannot be run: an error of the entry that names it, and of no other."""

    reason: str
    """CamelCase, for status and events."""
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@dataclass(frozen=True, slots=True)
class Artifact:
    """A plugin, found and identified; `digest` covers its code and requirements."""

    plugin: str
    kind: str
    version: str
    digest: str
    entrypoint: str
    config_schema: Mapping[str, Any]
    """Full JSON Schema, draft 2020-12 (shorthand already expanded)."""
    egress: tuple[str, ...]
    secrets: tuple[str, ...]
    requirements: tuple[str, ...]
    code: Path
    """A content-addressed, read-only copy of the plugin's folder: what runs is what was applied."""
    origin: str
    """Where it was found, in words: bundled, PLUGIN_DIR/…, source: …"""
    trading: Mapping[str, Any] = field(default_factory=dict)
    finite: bool = False
    image: str = ""
    """Of an image that was named: the reference by its digest, which `digest` is then."""
    unusable: Unusable | None = None
    """Its file says nothing of itself: kind and name are the entry's, the rest is unknown."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry's question to the catalog."""

    name: str
    kind: str
    plugin: str
    source: str | None
    image: str | None
    version: str | None
    place: Place
    pinned: str | None = None
    """A digest of an applied revision: give exactly that one again."""
    image_place: Place | None = None
    applied: str = ""
    """The image that the entry was applied with last, by digest: what its tag means until asked anew."""


@dataclass(frozen=True, slots=True)
class Export:
    """What an account offers. `channel`: stream (data flows out) or service (requests come in)."""

    subject: str
    channel: str


@dataclass(frozen=True, slots=True)
class Import:
    """`local` is what the plugin sees; `account` is an instance name, or CORE."""

    account: str
    subject: str
    local: str
    channel: str


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable pull consumer that the controller makes for an instance."""

    stream: str
    durable: str
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """Everything that one instance may do on the bus; a pure function of the wiring."""

    instance: str
    kind: str
    exports: tuple[Export, ...]
    imports: tuple[Import, ...]
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    streams: tuple[str, ...] = ()
    """Streams in CORE that hold what this instance sends."""
    consumers: tuple[Consumer, ...] = ()
    captured: tuple[Import, ...] = ()
    """What CORE imports of this instance, to keep the end of it for who hears it."""
