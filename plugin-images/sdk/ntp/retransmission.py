"""How long to wait for an answer before asking again: the retransmission timer of RFC 6298."""

FIRST = 1.0
"""Seconds, before anything was answered."""
SHORTEST = 0.5
"""Seconds: a store that syncs each message may be slow now and then."""


class RetransmissionTimer:
    """Goes by how long answers took so far. All in seconds; `longest`: the most that it ever waits."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._smoothed: float | None = None
        self._variation = 0.0
        self.timeout = min(FIRST, longest)

    def answered(self, took: float) -> None:
        """Take how long an answer took; of a message that was sent once alone (Karn's algorithm)."""
        if self._smoothed is None:
            self._smoothed, self._variation = took, took / 2
        else:
            self._variation += (abs(self._smoothed - took) - self._variation) / 4
            self._smoothed += (took - self._smoothed) / 8
        self.timeout = min(max(self._smoothed + 4 * self._variation, SHORTEST), self._longest)

    def silent(self) -> None:
        """Nothing came in time: wait twice as long from now on, until something is answered at once."""
        self.timeout = min(2 * self.timeout, self._longest)
