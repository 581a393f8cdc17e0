"""The beat: what a plugin says of itself, from its own loop: once a second, or less often when nothing changes."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec

from ntp.contract import CONTRACT
from ntp.contract.messages import AwareTime, SignalType
from ntp.contract.names import Channel

QUIET_S = 3.0
"""A plugin of which there is nothing new to say beats at least this often."""
MOST = 2**63 - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
"""Whoever reads it divides it: one of four hundred digits fits no float."""


class Stage(StrEnum):
    STARTING = "starting"
    READY = "ready"
    EXHAUSTED = "exhausted"
    """A finite source has sent everything; or everything that this one listens to has ended."""
    DRAINING = "draining"


class Flow(msgspec.Struct, frozen=True):
    """Counts of one edge since this incarnation began. `lost`: sequence numbers that never came."""

    peer: str
    channel: Channel
    symbol: str
    count: Count
    lost: Count = 0
    late: Count = 0
    """Indicator values that missed their deadline."""
    through: Count = 0
    """The last sequence number."""


class LatestSignal(msgspec.Struct, frozen=True):
    """The newest signal of a strategy, in short. `size` is in base units.

    `time` is the event time of its tick, `at` when it was made.
    """

    symbol: str
    signal_type: SignalType
    price: float
    confidence: float
    size: float | None
    time: AwareTime
    at: AwareTime


class Replayed(msgspec.Struct, frozen=True):
    """What a life was shown before it was ready: history, of which nothing was sent, and what was missed.

    `ticks` are history; `signals` counts those that a strategy would have sent, `last` is the newest of
    them. `missed` counts ticks that came while nobody was there: they are like any other.
    """

    ticks: Count
    signals: Count
    seconds: float
    last: LatestSignal | None = None
    problem: str = ""
    """Why not all could be replayed, in words."""
    missed: Count = 0


class Condition(msgspec.Struct, frozen=True):
    type: str
    status: bool
    reason: str
    message: str
    since: AwareTime


class Pushed(msgspec.Struct, frozen=True):
    """The answer of a running plugin to the newest `Control` that it has acted upon."""

    generation: Count
    refusal: str = ""
    """Why it did not take it, in words; empty: it runs with it now."""


class Halted(msgspec.Struct, frozen=True):
    """The answer of an executor to the newest `Halt`, be it of its launch file or of a `Control`."""

    number: Count
    refusal: str = ""
    """Why it does not obey it, in words; empty: it does."""


class Beat(msgspec.Struct, frozen=True):
    """`number` counts beats of this incarnation; counts in it are totals, so a lost beat loses nothing."""

    instance: str
    kind: str
    incarnation: str
    generation: Count
    number: Count
    at: AwareTime
    started: AwareTime
    stage: Stage
    contract: str = CONTRACT
    sent: list[Flow] = []
    received: list[Flow] = []
    refused: Count = 0
    """Results of the plugin that were refused at the border: NaN price, confidence outside [0, 1], …"""
    last_refusal: str = ""
    egress_refused: dict[str, Count] = {}
    """Connections that the egress proxy refused in this life, host:port -> count; a door counts by itself."""
    dead: Count = 0
    """Messages that became dead letters in this life."""
    skew_s: float | None = None
    """Arrival minus event time of the newest tick, seconds."""
    indicators: dict[str, dict[str, float]] = {}
    """get_indicators() by symbol."""
    conditions: list[Condition] = []
    report: dict[str, Any] = {}
    """The plugin's own figures; an executor's books are here, by strategy."""
    pushed: Pushed | None = None
    """None: nothing was pushed to this life, or its SDK takes no pushes; it runs as it was launched."""
    halted: Halted | None = None
    """None: it is no executor, or its SDK knows no halts."""
    signal: LatestSignal | None = None
    """Of this incarnation; None: it made none yet, or is no strategy."""
    replayed: Replayed | None = None
    """None: nothing was asked for."""
