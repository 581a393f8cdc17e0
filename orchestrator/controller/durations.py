"""How long something takes, counted in buckets: it is asked for the share of slow ones, not for each."""

from bisect import bisect_left

from orchestrator.decide.report import Histogram

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""


class Durations:
    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0

    def take(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._total += seconds

    def told(self) -> Histogram:
        return Histogram(BOUNDS, tuple(self._counts), self._total)
