"""Who is replanned again and again without progress is left alone, and shown as Flapping.

No back-off covers this: every single action succeeds, and the world is not what it was to become.
"""

from dataclasses import dataclass, field

from orchestrator.controller.outside import Tempo
from orchestrator.decide.actions import Action
from orchestrator.decide.words import span


@dataclass(slots=True)
class Parking:
    tempo: Tempo
    _times: dict[str, list[float]] = field(default_factory=dict)
    _parked: dict[str, tuple[float, str]] = field(default_factory=dict)

    def admit(self, action: Action, at: float) -> bool:
        """Count an action that is about to be carried out; False: its plugin is parked.

        `at`: seconds of a monotonic clock.
        """
        name = action.name
        if name in self._parked:
            until, _ = self._parked[name]
            if at < until:
                return False
            self.release(name)
        since = at - self.tempo.flapping.total_seconds()
        times = [*(each for each in self._times.get(name, ()) if each > since), at]
        self._times[name] = times
        if len(times) <= self.tempo.most_actions:
            return True
        what = f"{type(action).__name__.lower()} ({action.cause})"
        words = (
            f"{len(times)} actions within {span(self.tempo.flapping)} and no progress, the last: {what}; "
            f"left alone for {span(self.tempo.parked)}, `ntpctl restart {name}` tries at once"
        )
        self._parked[name] = (at + self.tempo.parked.total_seconds(), words)
        return False

    def parked(self, at: float) -> dict[str, str]:
        """Return why each parked plugin is."""
        return {name: words for name, (until, words) in self._parked.items() if at < until}

    def until(self, name: str) -> float | None:
        return self._parked[name][0] if name in self._parked else None

    def release(self, name: str) -> None:
        self._parked.pop(name, None)
        self._times.pop(name, None)

    def forget(self, names: set[str]) -> None:
        """Keep only `names`."""
        for known in {*self._times, *self._parked} - names:
            self.release(known)
