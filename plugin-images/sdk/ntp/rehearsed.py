"""A strategy that is shown recorded ticks: nobody waits, and no clock is looked at."""

import math

from ntp.history import SPAN
from ntp.runner.core.lead import Run
from ntp.runner.core.strategy import StrategyWork
from ntp.runner.core.way import Way


class RehearsedStrategy(StrategyWork):
    """What a strategy sees and makes is what it is live; only the loop around it does less."""

    def to_signal(self, run: Run, start: int, stop: int) -> int:
        """Do what `feed` does up to the first signal, and not beyond `stop`: nobody waits for the time.

        How far the run has come is noted at its end: nobody asks before.
        """
        ways: list[Way] = run.lead.work
        at, last, made = start, stop - 1, len(self.made)
        if len(ways) > 1 or ways[0].bars is not None:
            while at < stop and len(self.made) == made:
                at = self._each_way(ways, run, range(at, at + 1), math.inf) + 1
        while at < stop and len(self.made) == made:
            at = self._few_ticks(ways[0], run, range(at, min(at + SPAN, stop))) + 1
        if start < at == len(run.ticks):
            run.done(last)
        if run.end and at > last:
            self._end(run)
        return at

    def _few_ticks(self, way: Way, run: Run, which: range) -> int:
        tape, at = way.tape, which.start
        analyze, update, write = way.analyze, way.update, tape.write
        for at, tick in enumerate(run.ticks[which.start : which.stop], which.start):
            if update is not None:
                update(tick)
            result = analyze(tick, tape)
            write(tick)
            if result is not None:
                self._take(result, way, run.reference(at), tick)
                break
        tape.trim()
        return at
