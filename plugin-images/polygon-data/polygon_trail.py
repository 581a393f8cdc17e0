"""Which trades of one symbol were sent: Polygon's numbers have holes, so only names tell a repeat."""

from collections import deque

REMEMBERED = 4096
"""Names of one symbol: more than a second of its busiest."""


class Trail:
    __slots__ = ("_names", "_newest", "_order", "duplicates", "late")

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._order: deque[str] = deque()
        self._newest = 0
        self.duplicates = self.late = 0

    def take(self, name: str, at: int) -> bool:
        """Say whether this trade is to be sent: it is new, and not older than the one before it.

        Args:
            name: what tells it from all others of the symbol.
            at: event time, ms.
        """
        if name in self._names:
            self.duplicates += 1
            return False
        if at < self._newest:
            # Reported out of sequence: a source promises the order of event time.
            self.late += 1
            return False
        self._newest = at
        self._names.add(name)
        self._order.append(name)
        if len(self._order) > REMEMBERED:
            self._names.discard(self._order.popleft())
        return True
