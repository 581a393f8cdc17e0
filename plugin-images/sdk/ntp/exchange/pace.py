"""When a recorded frame is sent, and which time it then bears.

Shifted (the default): an event's time is the moment at which it is sent, less the latency that was
recorded with it, at any speed; a client that measures skew or lag sees what it would see live.
Not shifted: recorded times, which a faster speed lets pass faster.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Pace:
    """`speed` is recorded seconds a second; `skew_s` is added to every time that a client sees."""

    speed: float
    shift: bool
    lead_ms: float = 0.0
    skew_s: float = 0.0
    _due_s: float = 0.0
    _offset_s: float = 0.0  # Unix time less the monotonic clock, as of the start
    _started: bool = False
    _burst_left: int = 0
    _burst_gap_s: float = 0.0
    _recorded_ms: float = 0.0
    _latest_ms: dict[str, int] = field(default_factory=dict)
    _latest_earlier_ms: dict[str, int] = field(default_factory=dict)

    def start(self, monotonic_s: float, unix_s: float, recorded_ns: int) -> None:
        """Let the first frame be due now."""
        self._due_s, self._offset_s, self._started = monotonic_s, unix_s - monotonic_s, True
        self._recorded_ms = recorded_ns / 1e6 + self.lead_ms

    def burst(self, frames: int) -> None:
        """Play that many frames within one second, whatever their recorded times."""
        self._burst_left, self._burst_gap_s = frames, 1.0 / frames

    def advance(self, gap_ns: int) -> float:
        """Return when the next frame is due (monotonic seconds), recorded `gap_ns` after the last."""
        if self._burst_left:
            self._burst_left -= 1
            self._due_s += self._burst_gap_s
        else:
            self._due_s += gap_ns / 1e9 / self.speed
        self._recorded_ms += gap_ns / 1e6
        return self._due_s

    def event_ms(self, key: str, recorded_ms: int, lag_ms: float) -> int:
        """The time of an event of the frame that is due, in Unix ms; never before the last of `key`.

        Args:
            key: whose events are in order, such as a symbol.
            recorded_ms: as the recording has it, moved on by whole loops.
            lag_ms: from the event to its receipt, by the exchange's clock.

        """
        if self.shift:
            time = (self._due_s + self._offset_s) * 1000 - lag_ms / self.speed
        else:
            time = recorded_ms
        latest = max(int(time), self._latest_ms.get(key, 0))
        self._latest_ms[key] = latest
        return latest + int(self.skew_s * 1000)

    def earlier_ms(self, key: str, event_ms: int, recorded_ms: float) -> int:
        """A time that was recorded so many ms before the event's own; never before the last of `key`."""
        skew_ms = int(self.skew_s * 1000)
        time = event_ms - skew_ms - int(recorded_ms / self.speed if self.shift else recorded_ms)
        latest = max(time, self._latest_earlier_ms.get(key, 0))
        self._latest_earlier_ms[key] = latest
        return latest + skew_ms

    def now_ms(self, monotonic_s: float, unix_s: float) -> int:
        """What the exchange's clock says (Unix ms)."""
        time = unix_s * 1000
        if not self.shift and self._started:
            time = self._recorded_ms + (monotonic_s - self._due_s) * 1000 * self.speed
        return int(time + self.skew_s * 1000)
