"""What `ntp plugin test` asks of the process that runs the plugin, and what that answers.

That process runs the code of plugins: its answer is a claim, to be read and shown, no more.
"""

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec

from ntp.contract.launch import Trading
from ntp.contract.names import Kind

SIGNALS, FILLS, VALUES, PROGRESS = "signals.jsonl", "fills.jsonl", "values.jsonl", "progress"
"""Files of the folder of an order: what was made, one a line, in the order of the rows; how far it is."""
ANSWER, ASSESSMENT = "answer.json", "assessment.json"
"""Of the same folder: the `Answer`, and the figures as `carried` packs them."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_LAST_S = 253_402_300_799
"""Unix seconds of the end of the year 9999."""


class Subject(msgspec.Struct, frozen=True):
    """A plugin, as the process finds it. `code`: its folder; `entrypoint`: module:Class."""

    instance: str
    kind: Kind
    code: str
    entrypoint: str
    config: dict[str, Any] = {}


class Data(msgspec.Struct, frozen=True):
    """Files of market data, as `ntp.layouts.open_files` reads them; `most`: ticks of them, None: all."""

    files: list[str]
    mapping: dict[str, str] = {}
    symbol: str = ""
    zone: str = ""
    sort: bool = False
    most: int | None = None


class Order(msgspec.Struct, frozen=True):
    """Attributes:
    task: `run` it on data; show it `hostile` data; `listen` to a source.
    indicators: shown each tick before the strategy is.
    costs: of an execution, as `ntp.engine.fills.Costs` reads them.
    folder: writable; what is made is written there.
    assess: whether figures of the run are wanted.
    marks: event times at which the equity is wanted.
    ticks, seconds: of a source, after which it was heard enough; `door`: its socket to the hosts it may reach.
    """

    task: Literal["run", "hostile", "listen"]
    subject: Subject
    folder: str
    data: Data = Data([])
    indicators: list[Subject] = []
    bars: str | None = None
    history: int = 1000
    trading: Trading = Trading()
    costs: dict[str, Any] = {}
    assess: bool = False
    marks: list[datetime] = []
    ticks: int = 1000
    seconds: float = 10.0
    door: str = ""


class At(msgspec.Struct, frozen=True):
    """A tick. `number`: it counts the rows of its symbol that were shown, from 1."""

    symbol: str
    number: Count
    id: str
    time: Moment | None = None

    def __str__(self) -> str:
        when = "" if self.time is None else f" ({self.time.isoformat().replace('+00:00', 'Z')})"
        name = f"{self.number:,}" if self.number else self.id
        return f"tick {name} of {self.symbol}{when}"


class Raised(msgspec.Struct, frozen=True):
    """What the plugin raised. `place`: ` (file:line)` of its own code, or nothing; `at`: shown which tick."""

    words: str
    place: str = ""
    at: At | None = None

    def __str__(self) -> str:
        return f"it raised {self.words}{self.place}" + (f" at {self.at}" if self.at else "")


class Case(msgspec.Struct, frozen=True):
    """How it took one kind of hostile data.

    Attributes:
        ticks: that it was shown; `refused`: rows that never reach a plugin.
        border: results of it that nobody else would be shown, and the last reason.
    """

    name: str
    ticks: Count
    refused: Count
    raised: Raised | None = None
    border: Count = 0
    last_refusal: str = ""


class Heard(msgspec.Struct, frozen=True):
    """How a source behaved.

    Attributes:
        first_s: seconds until its first tick; None: none came.
        seconds: that it was heard.
        connected: what came of each `connect()`, in words.
        again: ticks after it had been ended and connected anew.
        yielded: of its stream, those that were refused too.
        ended: its stream came to an end by itself; `finite`: its class says that it does.
        conditions: what it says is wrong, by reason.
        unasked: symbols that nobody subscribed to.
        disordered: the first tick that is older than the one before it, and how many are.
        ahead_s: how far the latest event time lay in the future, seconds.
    """

    first_s: float | None = None
    seconds: float = 0.0
    connected: list[str] = []
    again: Count = 0
    yielded: Count = 0
    ended: bool = False
    finite: bool = False
    conditions: dict[str, str] = {}
    unasked: list[str] = []
    disordered: At | None = None
    disordered_count: Count = 0
    ahead_s: float = 0.0


class Answer(msgspec.Struct, frozen=True):
    """Attributes:
    refused: why it was not run, in words, and `fix` what to do; empty: it was.
    raised: what ended the run early.
    ticks: that it was shown.
    bad: rows that were not taken, in words; `bad_count`: how many.
    border, last_refusal: results that nobody else would be shown, and the last reason.
    prices: of each symbol, for drawing: Unix seconds, and prices with every extreme.
    equities: at each mark and at the end, quote currency.
    """

    refused: str = ""
    fix: str = ""
    raised: Raised | None = None
    ticks: Count = 0
    symbols: dict[str, Count] = {}
    first: Moment | None = None
    last: Moment | None = None
    bad: list[str] = []
    bad_count: Count = 0
    signals: Count = 0
    fills: Count = 0
    border: Count = 0
    last_refusal: str = ""
    late: Count = 0
    orders_refused: Count = 0
    limited: str = ""
    indicators: dict[str, dict[str, float]] = {}
    report: dict[str, Any] = {}
    prices: dict[str, tuple[list[float], list[float]]] = {}
    equities: list[float] = []
    cases: list[Case] = []
    heard: Heard = Heard()
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mib: float = 0.0

    def __post_init__(self) -> None:
        for symbol, (times, prices) in self.prices.items():
            if symbol not in self.symbols or len(times) != len(prices):
                raise ValueError("prices of a symbol do not fit its ticks")
            if any(not 0 <= one <= other <= _LAST_S for one, other in pairwise(times)):
                raise ValueError("prices of a symbol are not in the order of time")
