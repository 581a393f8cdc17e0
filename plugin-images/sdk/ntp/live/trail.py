"""The numbers of one symbol's trades, where an exchange counts them: what came twice, late or never."""

from collections import deque

GAPS = 64
"""Gaps that are remembered, to tell a late trade from a repeated one."""


class Trail:
    """Attributes: counts of trades, and `gap`, the first and last number of the newest gap."""

    __slots__ = ("_gaps", "_newest", "duplicates", "gap", "last", "late", "missed", "renumbered")

    def __init__(self) -> None:
        self.last: int | None = None
        self._newest = 0
        self._gaps: deque[tuple[int, int]] = deque(maxlen=GAPS)
        self.duplicates = self.late = self.missed = self.renumbered = 0
        self.gap: tuple[int, int] | None = None

    def take(self, number: int, at: int) -> bool:
        """Say whether this trade is to be sent: it is new and follows those before it.

        Args:
            number: the exchange's, one more for each trade.
            at: event time, any unit that grows.
        """
        last = self.last
        if last is not None and number <= last:
            if at <= self._newest:
                self._count_old(number)
                return False
            # An older number at a later time: the exchange began to count anew.
            self.renumbered += 1
            self._gaps.clear()
        elif last is not None and number > last + 1:
            self.gap = (last + 1, number - 1)
            self._gaps.append(self.gap)
            self.missed += number - last - 1
        self.last = number
        self._newest = at
        return True

    def _count_old(self, number: int) -> None:
        if any(first <= number <= last for first, last in self._gaps):
            self.late += 1
        else:
            self.duplicates += 1
