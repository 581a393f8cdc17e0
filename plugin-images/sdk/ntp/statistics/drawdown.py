"""Falls from the highest equity so far, followed as they come."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall from a peak and what came of it. Times are aware UTC, equity in quote currency.

    Attributes:
        peak_at: the last moment at the peak.
        trough_at: when it was lowest.
        recovered_at: when the peak was reached again; None: not within the data.
        until: `recovered_at`, or the end of the data.
    """

    peak: float
    trough: float
    peak_at: datetime
    trough_at: datetime
    recovered_at: datetime | None
    until: datetime

    @property
    def depth(self) -> float:
        """The fall as a share of the peak: (peak - trough) / peak. Above 1 where equity fell below zero."""
        return (self.peak - self.trough) / self.peak

    @property
    def length(self) -> timedelta:
        """From the peak until it was reached again, or to the end of the data."""
        return self.until - self.peak_at


class Falls:
    """Finds the deepest and the longest fall in one pass.

    Source: Magdon-Ismail and Atiya, Maximum Drawdown, Risk 17(10), 2004. The first peak is the capital.
    Each equity counts, not only those at the ends of days, so a fall within a day is seen.

    Attributes:
        peak: the highest equity so far.
        trough: the lowest since then.
    """

    __slots__ = ("_deepest", "_longest", "_peak_at", "_trough_at", "peak", "trough")

    def __init__(self, at: datetime, first: float) -> None:
        self.peak = self.trough = first
        self._peak_at = self._trough_at = at
        self._deepest: Drawdown | None = None
        self._longest: Drawdown | None = None

    def note(self, at: datetime, equity: float, before: datetime) -> None:
        """Take the equity at `at`; `before` is the time of the point ahead of it."""
        if equity >= self.peak:
            if self.trough < self.peak:
                fall = self._fall(at, at)
                self._deepest, self._longest = self._with(fall)
            self.peak = self.trough = equity
            self._peak_at = self._trough_at = at
        elif equity < self.trough:
            if self.trough == self.peak:
                self._peak_at = before  # it may have lain at the peak for long
            self.trough, self._trough_at = equity, at

    def deepest(self, end: datetime) -> Drawdown | None:
        """Return the deepest fall of data that ends then; None: equity never fell."""
        return self._so_far(end)[0]

    def longest(self, end: datetime) -> Drawdown | None:
        """Return the fall that was longest below its peak."""
        return self._so_far(end)[1]

    def _so_far(self, end: datetime) -> tuple[Drawdown | None, Drawdown | None]:
        if self.trough == self.peak:
            return self._deepest, self._longest
        return self._with(self._fall(None, end))

    def _fall(self, recovered: datetime | None, until: datetime) -> Drawdown:
        return Drawdown(self.peak, self.trough, self._peak_at, self._trough_at, recovered, until)

    def _with(self, fall: Drawdown) -> tuple[Drawdown, Drawdown]:
        deeper = self._deepest is None or fall.depth > self._deepest.depth
        longer = self._longest is None or fall.length > self._longest.length
        return (
            fall if deeper or self._deepest is None else self._deepest,
            fall if longer or self._longest is None else self._longest,
        )
