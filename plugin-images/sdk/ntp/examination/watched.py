"""The equity of a run while it goes on: its curve, and what it was at given moments."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from ntp.contract.messages import MarketData
from ntp.engine.changes import Change
from ntp.engine.quiet import Stretch
from ntp.examination.carried import packed
from ntp.examination.order import ASSESSMENT, Order
from ntp.statistics import EquityCurve, assess
from ntp.statistics.trades import Trades

_POINTS = 2_048
"""Of a line: more than a page draws; the figures do not depend on it."""


class Watched:
    """Shows a curve what the desk takes, in the same order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._curve = EquityCurve(Decimal(order.trading.capital), most=_POINTS)
        self._add = self._curve.add
        self._trades = Trades()
        self._marks = list(reversed(order.marks))
        self._equities: list[float] = []

    def ticks(
        self, ticks: Sequence[MarketData], stretch: Stretch | None, start: int, stop: int
    ) -> None:
        """Take ticks that the desk takes."""
        if stretch is not None and stretch.steady and not self._marks:
            self._curve.add_all(stretch.ticks, start, stop)
            return
        for tick in ticks[start:stop]:
            if self._marks and tick.timestamp >= self._marks[-1]:
                self._mark(tick)
            self._add(tick)

    def change(self, change: Change) -> None:
        """Take what changed at the last of them."""
        for fill in change.fills:
            self._curve.fill(fill)
            if self._order.assess:
                self._trades.take(fill)

    def told(self) -> dict[str, Any]:
        """Return what an answer has of it; write the figures into their file, if they are wanted."""
        told: dict[str, Any] = {}
        if self._order.marks:
            left = [self._curve.equity] * (len(self._marks) + 1)
            told["equities"] = [*self._equities, *left]
        if self._order.assess:
            found = assess(self._trades, self._curve, strategy=self._order.subject.instance)
            Path(self._order.folder, ASSESSMENT).write_bytes(packed(found))
        return told

    def _mark(self, tick: MarketData) -> None:
        while self._marks and tick.timestamp >= self._marks[-1]:
            self._marks.pop()
            self._equities.append(self._curve.equity)
