"""Ticks that newer ones have overtaken, where an input says `policy: latest`.

Nobody is made to wait for it: as long as more has come than was looked at, only the newest tick of each
symbol is kept; it bears in its metadata how many were left out before it.
"""

from collections.abc import Iterable

from ntp.runner.core.lead import Run

SKIPPED = "skipped"
"""Key of a tick's metadata: how many ticks were left out just before it."""
PATIENCE_S = 0.05
"""Seconds for which a newest tick may be overtaken by still newer ones."""


class Newest:
    def __init__(self) -> None:
        self._held: dict[int, tuple[Run, int]] = {}
        """By lead, the run that is to be shown, and how many ticks it overtook."""
        self._since = 0.0

    def of(self, runs: Iterable[Run], now: float, *, more: bool) -> list[Run]:
        """Return what is to be shown now; `more`: other messages wait already. `now`: monotonic seconds."""
        due: list[Run] = []
        for run in runs:
            if run.lead.policy != "latest":
                due.append(run)
                continue
            if not self._held:
                self._since = now
            self._hold(run)
        if more and now - self._since < PATIENCE_S:
            return due
        return due + self.all()

    def all(self) -> list[Run]:
        """Return all that is held."""
        held, self._held = self._held, {}
        for run, overtaken in held.values():
            if overtaken:
                run.ticks[0].metadata[SKIPPED] = overtaken
                run.lead.skipped += overtaken
        return [run for run, _ in held.values()]

    def _hold(self, run: Run) -> None:
        before, overtaken = self._held.get(id(run.lead), (None, 0))
        if before is None and len(run.ticks) <= 1:
            self._held[id(run.lead)] = (run, 0)
        elif not run.ticks and before is not None:
            before.end = run.end
        else:
            overtaken += len(run.ticks) - 1 + (len(before.ticks) if before is not None else 0)
            seq = run.seq + len(run.ticks) - 1
            newest = Run(run.lead, run.incarnation, seq, run.ticks[-1:], run.end)
            self._held[id(run.lead)] = (newest, overtaken)
