"""How long to wait before the next try: longer each time, and never in step with others."""

import random
from collections.abc import Callable


class Backoff:
    """Doubles from `first_s` to `longest_s`; a half of each wait is random.

    A thousand clients that lost one server at the same moment come back spread over time.
    """

    def __init__(
        self, first_s: float, longest_s: float, chance: Callable[[], float] = random.random
    ) -> None:
        self.first_s = first_s
        self.longest_s = longest_s
        self._chance = chance
        self.tries = 0
        """Since the last reset."""

    @property
    def full(self) -> float:
        """The next wait at its longest, in seconds."""
        # 2 ** 1024 is no float any more, and long before it every wait is the longest.
        return min(self.first_s * 2.0 ** min(self.tries, 64), self.longest_s)

    def next(self) -> float:
        """Return the seconds to wait now."""
        full = self.full
        self.tries += 1
        return full * (1 + self._chance()) / 2

    def reset(self) -> None:
        self.tries = 0
