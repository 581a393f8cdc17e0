"""Who is shown more of what came before than its history, or less; while somebody asks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class Replays:
    """Nothing of it is kept: whoever asked is gone when the controller is."""

    def __init__(self) -> None:
        self._asked: dict[int, dict[str, int]] = {}
        self._number = 0

    @property
    def wanted(self) -> Mapping[str, int]:
        """By name, how many ticks of each symbol; the greatest number counts."""
        most: dict[str, int] = {}
        for asked in self._asked.values():
            for name, ticks in asked.items():
                most[name] = max(ticks, most.get(name, 0))
        return most

    @contextmanager
    def asked(self, names: Sequence[str], ticks: int) -> Iterator[None]:
        self._number += 1
        number = self._number
        self._asked[number] = dict.fromkeys(names, ticks)
        try:
            yield
        finally:
            del self._asked[number]
