"""When to tell executors how far a strategy has come.

They hold ticks and signals until then, so a signal hurries; but each report is stored, so in quiet
times one a second will do.
"""

TICK_S = 0.1
"""Seconds between reports at least."""
QUIET_S = 1.0
"""Seconds between reports while nothing hurries."""
HURRY = 1000
"""Ticks after which a report hurries."""
MOST_A_SECOND = 100
"""Messages: with many symbols the rounds become rarer."""
REPEAT_END_S = 15.0
"""Seconds after which the end is told again, for an executor that was started since."""


class Pace:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._told_at = 0.0
        self._pause_s = TICK_S
        self._signals = False
        self._ticks = 0

    def signals(self) -> None:
        """Note that signals were made since the last report."""
        self._signals = True

    def ticks(self, count: int) -> None:
        self._ticks += count

    @property
    def hurries(self) -> bool:
        return self._signals or self._ticks >= HURRY

    def due(self, now: float, *, ended: bool) -> bool:
        pause = self._pause_s
        if not (self.hurries or ended):
            pause = max(pause, QUIET_S)
        return now - self._told_at >= pause

    def left(self, now: float, *, waiting: bool) -> float:
        """Return in how many seconds to look again whether a report is due, if nothing happens until then.

        `waiting`: something else than ticks and signals is to be told.
        """
        if not (self._ticks or self._signals or waiting):
            return QUIET_S
        pause = self._pause_s if self.hurries else max(self._pause_s, QUIET_S)
        return min(QUIET_S, max(0.0, self._told_at + pause - now))

    def end_due(self, now: float) -> bool:
        return now - self._told_at >= REPEAT_END_S

    def told(self, now: float, messages: int) -> None:
        self._told_at = now
        self._pause_s = max(TICK_S, messages / MOST_A_SECOND)
        self._signals = False
        self._ticks = 0
