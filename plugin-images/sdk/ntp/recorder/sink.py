"""What a recording is written as: a row for each tick, or a line for each frame."""

import time
from datetime import datetime
from typing import Protocol

from ntp import recording
from ntp.contract.messages import MarketData
from ntp.exchange.recording import frame_line
from ntp.recorder.part_file import PartFile


class Sink(Protocol):
    """Attributes: `taken` counts what was recorded, `written` what of it is on the disk; `left_out` what
    was not, by why.

    Methods return whether what they were given belongs to the recording, and raise OSError where the
    disk is full.
    """

    what: str
    taken: int
    left_out: dict[str, int]

    @property
    def written(self) -> int: ...
    def tick(self, tick: MarketData) -> bool: ...
    def frame(self, frame: bytes) -> bool: ...


class Rows:
    """CSV, as `ntp.recording` and replay_data read it."""

    what = "ticks"

    def __init__(self, file: PartFile) -> None:
        self.taken = 0
        self.left_out: dict[str, int] = {}
        self._file = file
        self._newest: dict[str, datetime] = {}
        file.write(recording.header())

    @property
    def written(self) -> int:
        return max(0, self._file.lines - 1)

    def tick(self, tick: MarketData) -> bool:
        if tick.timestamp < self._newest.get(tick.symbol, tick.timestamp):
            # A recording is in time order for each symbol: who plays it would pass this one over.
            why = "ticks older than the one of their symbol before them"
            self.left_out[why] = self.left_out.get(why, 0) + 1
            return False
        self._newest[tick.symbol] = tick.timestamp
        self._file.write(recording.line(tick))
        self.taken += 1
        return True

    def frame(self, frame: bytes) -> bool:  # noqa: ARG002 - rows are made of ticks
        return False


class Frames:
    """Frames of Binance's streams, as `ntp exchange` plays them."""

    what = "frames"

    def __init__(self, file: PartFile) -> None:
        self.taken = 0
        self.left_out: dict[str, int] = {}
        self._file = file

    @property
    def written(self) -> int:
        return self._file.lines

    def tick(self, tick: MarketData) -> bool:  # noqa: ARG002 - its frame was written already
        return True

    def frame(self, frame: bytes) -> bool:
        line = frame_line(time.time_ns(), frame)
        if line is None:
            why = "frames with nothing in them that `ntp exchange` plays"
            self.left_out[why] = self.left_out.get(why, 0) + 1
            return False
        self._file.write(line)
        self.taken += 1
        return True
