"""The limits that the real exchanges set, and their shortening by time compression."""

from collections import deque
from dataclasses import dataclass, field, replace

PING_FLOOR_S = 1.0
PONG_FLOOR_S = 3.0
AUTH_FLOOR_S = 1.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What ends or refuses a connection; times in seconds."""

    ping_s: float = 20.0
    pong_s: float = 60.0
    session_s: float = 86_400.0
    auth_s: float = 10.0
    messages_per_second: int = 5
    streams: int = 1024
    attempts: int = 300
    attempts_window_s: float = 300.0
    backlog_bytes: int = 4 * 1024 * 1024
    connections_per_key: int = 1
    api_key: str | None = None

    def compressed(self, factor: float) -> "Rules":
        """Shorten every time a person would wait for.

        The five messages a second stay, as a client's own pace is not compressed; so pings, whose
        pongs count among them, come at most every second, and a pong has three; auth has one.
        """
        return replace(
            self,
            ping_s=max(PING_FLOOR_S, self.ping_s / factor),
            pong_s=max(PONG_FLOOR_S, self.pong_s / factor),
            session_s=self.session_s / factor,
            auth_s=max(AUTH_FLOOR_S, self.auth_s / factor),
            attempts_window_s=self.attempts_window_s / factor,
        )


@dataclass(slots=True)
class RollingCount:
    """At most `limit` events in any `window_s`: rolling, as the exchange counts, not per clock second."""

    limit: int
    window_s: float
    _times: deque[float] = field(default_factory=deque)

    def allows(self, now_s: float) -> bool:
        """Count one event at `now_s` (any monotonic clock) and tell whether it was within the limit."""
        while self._times and self._times[0] <= now_s - self.window_s:
            self._times.popleft()
        self._times.append(now_s)
        if len(self._times) > self.limit + 1:
            # One more than the limit is enough to refuse; the rest would only be memory.
            self._times.popleft()
        return len(self._times) <= self.limit
