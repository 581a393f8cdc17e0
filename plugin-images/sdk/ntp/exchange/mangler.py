"""What the faults do to one connection's outgoing data frames."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from ntp.exchange.faults import Board


@dataclass(slots=True)
class Mangler:
    """Frames in, frames out. The draws are seeded: one run is as the other."""

    board: Board
    _random: Random = field(default_factory=lambda: Random(857))  # noqa: S311 - a fault, no secret
    _held: bytes | None = None
    _stalled_until_s: float = 0.0
    _gaps: int = 0
    _halve: bool = False

    def stall(self, until_s: float) -> None:
        """Send no data before the connection is this old."""
        self._stalled_until_s = max(self._stalled_until_s, until_s)

    def gap(self, updates: int) -> None:
        """Leave out the next depth updates."""
        self._gaps += updates

    def halve(self) -> None:
        """Cut the JSON of the next data frame."""
        self._halve = True

    def out(self, frame: bytes, *, depth_update: bool, age_s: float) -> Iterator[bytes]:
        """Yield what is really sent for `frame`: nothing, it, or more."""
        if age_s < self._stalled_until_s:
            return
        if depth_update and self._gaps:
            self._gaps -= 1
            return
        if self._halve:
            self._halve = False
            frame = frame[: len(frame) // 2]
        if self._held is not None:
            yield frame
            yield self._held
            self._held = None
            return
        if self._strikes("reorder", age_s):
            self._held = frame
            return
        yield frame
        if self._strikes("duplicate", age_s):
            yield frame

    def _strikes(self, name: str, age_s: float) -> bool:
        share = self.board.lasting(name, age_s)
        return share is not None and self._random.random() < share
