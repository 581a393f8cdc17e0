"""What a runner sees of a live source by itself: an author's own conditions come on top."""

from datetime import datetime

from ntp.contract.messages import MarketData

STALE_S = 60.0
"""Without a tick; only of a source that says no conditions of its own, which knows better."""
AHEAD_S = 1.0
"""A tick may be dated so far in the future: no two clocks are the same."""


class Outlook:
    """Asked at each beat.

    Args:
        speaks: it has `conditions()` of its own.
        now: monotonic seconds.
    """

    def __init__(self, *, speaks: bool, now: float) -> None:
        self._speaks = speaks
        self._newest: MarketData | None = None
        self._heard = now
        self._ahead_s = 0.0

    def conditions(self, newest: MarketData | None, *, at: datetime, now: float) -> dict[str, str]:
        """Return what is wrong, by reason. `newest`: the last tick; `at`: aware, now by this clock."""
        if newest is not self._newest and newest is not None:
            self._newest, self._heard = newest, now
            self._ahead_s = (newest.timestamp - at).total_seconds()
        found = {}
        if not self._speaks and now - self._heard > STALE_S:
            what = "no tick" if self._newest is not None else "no tick ever came; none"
            found["FeedStale"] = f"{what} for {now - self._heard:.0f} s"
        if self._ahead_s > AHEAD_S:
            found["ClockAhead"] = (
                f"its ticks are dated {self._ahead_s:.1f} s ahead of this machine's clock:"
                " one of the two is wrong"
            )
        return found
