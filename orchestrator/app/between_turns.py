"""How long a replica that has just led lets others lead before it asks for the lease again."""

from datetime import timedelta
from typing import Final

from orchestrator.decide.backoff import delay

FIRST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(seconds=30)
STEADY_S: Final = 60.0
"""Who led so long was not kept from leading: what ended that is another matter than what went before."""


class Pauses:
    """Of one process. Without NATS or a name server every turn fails at once: two replicas would else swap
    the lease each second, and read everything anew each time.
    """

    def __init__(self, who: str) -> None:
        """`who`: two that failed together ask at different times."""
        self._who = who
        self._short = 0
        """Turns one after the other that were."""

    def after(self, led_s: float) -> float:
        """Return the seconds to wait after a turn of `led_s`, counted from when the lease was held."""
        self._short = 1 if led_s >= STEADY_S else self._short + 1
        return delay(self._short, first=FIRST, longest=LONGEST, seed=self._who).total_seconds()
