"""What a started plugin finds in its read-only folder: `/run/ntp/launch.json`.

The controller writes it, `python -m ntp.runner` reads it; on every runtime.
"""

from typing import Any, Literal

import msgspec

from ntp.contract import CONTRACT
from ntp.contract.control import Halt
from ntp.contract.names import Kind

FOLDER = "/run/ntp"
"""Default folder of the files of a launch; NTP_LAUNCH names another."""
LAUNCH_FILE = "launch.json"
CREDENTIALS_FILE = "bus.creds"
CA_FILE = "ca.pem"
"""Where a host leads somewhere else: the certificates to trust, named by SSL_CERT_FILE."""
DOOR_SOCKET = "door.sock"
EGRESS_TOKEN_FILE = "egress.token"  # noqa: S105 - a file's name
"""What the egress proxy knows this instance by (`ntp.contract.egress_token`), where there is no door."""
TERMINATION_FILE = "termination"
"""Writable, at most 4 KiB: a runner writes its last words here (Termination, or a faulthandler dump)."""


class Trading(msgspec.Struct, frozen=True):
    """How a strategy's signals become positions."""

    capital: str = "10000"
    short: bool = False
    pyramid: int = 1
    risk: dict[str, Any] = {}


Policy = Literal["all", "latest", "all-or-fail"]
"""What becomes of ticks that come faster than they are analysed; of ticks that are lost."""


class Listen(msgspec.Struct, frozen=True):
    """One input of this instance; `symbols` empty: all. `trading` is set for an executor's strategies."""

    instance: str
    kind: Kind
    symbols: list[str] = []
    bars: str | None = None
    trading: Trading | None = None
    listens_to: list[str] = []
    """For a strategy among an executor's inputs: the data sources it trades on.
    For an indicator among a strategy's inputs: the data sources it values."""
    policy: Policy = "all"


class BusAddress(msgspec.Struct, frozen=True):
    servers: list[str]
    """nats://host:port"""
    credentials: str | None = CREDENTIALS_FILE
    """A file name in the launch folder; NATS .creds format (user JWT and seed)."""


class ProxyAddress(msgspec.Struct, frozen=True):
    """The way out where no door is: a forward proxy that is asked by CONNECT for each place."""

    address: str
    """host:port, as /etc/hosts knows it; it is reached directly."""
    token: str = EGRESS_TOKEN_FILE
    """A file name in the launch folder; it is read at each connect, so a new one serves at once."""
    bus: bool = False
    """Whether the bus is reached through it too; else directly."""


class LaunchFile(msgspec.Struct, frozen=True):
    project: str
    instance: str
    kind: Kind
    plugin: str
    entrypoint: str
    """module:Class"""
    code: str
    """The plugin's folder as the plugin sees it; comes first on sys.path."""
    generation: int
    bus: BusAddress
    contract: str = CONTRACT
    config: dict[str, Any] = {}
    inputs: list[Listen] = []
    history: int = 1000
    replay: int = 1000
    """Of each symbol, how many ticks of what came before it is shown first; what it makes of them is not
    sent."""
    indicator_wait_s: float = 1.0
    """Longest that a tick waits for its indicator values."""
    timeout_s: float = 30.0
    """Longest single callback."""
    grace_s: float = 5.0
    """From SIGTERM to the end."""
    trading: Trading = Trading()
    risk: dict[str, Any] = {}
    """An executor's own limits, on the sum over all its strategies."""
    halt: Halt = Halt()
    storage: str | None = None
    """Durable folder as the plugin sees it."""
    storage_bytes: int = 0
    """What it may hold; 0: not limited."""
    egress: list[str] = []
    """host:port, for the words of a refusal."""
    own_network: bool = False
    """Those hosts are reached over a network of its own; only the bus is reached through the door."""
    proxy: ProxyAddress | None = None
    """No door is there: the hosts of `egress` are reached through this proxy, and where there are none
    nothing is."""
    dead_letters: bool = False
    """Whether the bus keeps what this instance cannot take; else it is refused and gone."""
    last_end: str = ""
    """What the life before ended by, where it failed: `PluginRaised: …`."""
    plain_network: bool = False
    """Neither door nor proxy is there: connect as usual (tests)."""


class Termination(msgspec.Struct, frozen=True):
    """Why a runner ended by its own decision. `permanent`: no retry helps until config or code changes."""

    reason: str
    """CamelCase: ConfigRefused, ImportFailed, ContractMismatch, InitializeFailed, StreamEnded, …"""
    message: str
    permanent: bool = False
