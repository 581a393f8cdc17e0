"""What is drawn of something that changes with time."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """Points to draw: `times` Unix seconds, `values` each at its time."""

    times: Sequence[float]
    values: Sequence[float]

    def __len__(self) -> int:
        return len(self.times)
