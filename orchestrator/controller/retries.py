"""When to try again what was not answered: in memory only, for a new controller may try at once."""

from dataclasses import dataclass, field

from orchestrator.controller.outside import Tempo
from orchestrator.decide.backoff import delay


@dataclass(slots=True)
class Retries:
    tempo: Tempo
    _tries: dict[str, tuple[int, float]] = field(default_factory=dict)

    def later(self, key: str, at: float) -> float:
        """Count a failure of `key` at `at` (seconds of a monotonic clock); return when it is due again."""
        count = self._tries.get(key, (0, 0.0))[0] + 1
        first, longest = self.tempo.first_retry, self.tempo.longest_retry
        wait = delay(count, first=first, longest=longest, seed=key).total_seconds()
        self._tries[key] = (count, at + wait)
        return at + wait

    def due(self, key: str, at: float) -> float | None:
        """Return when `key` may be tried, if that is still to come."""
        _, due = self._tries.get(key, (0, 0.0))
        return due if due > at else None

    def done(self, key: str) -> None:
        self._tries.pop(key, None)
