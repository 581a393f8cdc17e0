"""What a run came to: every figure with its meaning, and what its drawings and tables are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from ntp.statistics.closes import Period
from ntp.statistics.drawdown import Drawdown
from ntp.statistics.line import Line
from ntp.statistics.trips import Trip

Value = Decimal | float | int | datetime


class Unit(StrEnum):
    """How a value is to be read."""

    MONEY = "money"
    """Decimal, quote currency."""
    SHARE = "share"
    """Of 1: 0.25 is 25 %."""
    RATIO = "ratio"
    COUNT = "count"
    SECONDS = "seconds"
    TIME = "time"
    """Aware UTC."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One statistic.

    Attributes:
        key: its name in documents; never changes.
        value: None: it has none, and `why` says for what reason. Never infinite, never not a number.
        words: what it means, in a sentence.
        higher: whether more of it is better; None: neither.
    """

    key: str
    group: str
    name: str
    unit: Unit
    value: Value | None
    words: str
    why: str = ""
    higher: bool | None = None


@dataclass(frozen=True, slots=True)
class Month:
    """`share`: the return from the last equity of an earlier month (the capital) to the last of this."""

    year: int
    month: int
    share: float


@dataclass(frozen=True, slots=True)
class Bin:
    """How many returns lie from `low` on and below `high`; the last one has its upper edge too."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """One strategy's run.

    Attributes:
        start, end: of its ticks, aware UTC; None: none came.
        trips: in the order in which they were entered; of very many only some, which `cautions` say.
        period: what `returns` are of, and how many make a year.
        returns: simple returns of equity; empty where they mean nothing.
        line: equity after fees; `fees`: all so far; `exposure`: as a share of equity.
        rolling: the Sharpe ratio of `window` periods, at the end of each; only where it has a
            value, and none of data too short for a figure a year.
        distribution: of the returns that are not exactly 0, which are those of time out of the market.
        cautions: sentences that whoever reads the figures has to know.
    """

    strategy: str
    capital: Decimal
    start: datetime | None
    end: datetime | None
    ticks: int
    fills: int
    figures: Sequence[Figure]
    trips: Sequence[Trip]
    period: Period
    returns: Sequence[float]
    line: Line
    fees: Line
    exposure: Line
    rolling: Line
    window: int
    months: Sequence[Month]
    years: Mapping[int, float]
    distribution: Sequence[Bin]
    deepest: Drawdown | None
    longest: Drawdown | None
    cautions: Sequence[str]

    def __getitem__(self, key: str) -> Value | None:
        """Return a figure's value; None: it has none.

        Raises:
            KeyError: there is no such figure.
        """
        return self.figure(key).value

    def figure(self, key: str) -> Figure:
        for figure in self.figures:
            if figure.key == key:
                return figure
        raise KeyError(key)
