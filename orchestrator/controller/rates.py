"""Rates from totals: what beats and control groups count, divided by the time between two looks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ntp.contract.beat import Beat
from orchestrator.decide.report import FlowTotals
from orchestrator.decide.state import Instance, Phase

WINDOW = timedelta(seconds=3)
"""A rate is of at least this long."""


@dataclass(frozen=True, slots=True)
class _Sample:
    at: datetime
    life: str
    first: float
    second: float = 0.0


class Rates:
    """Remembers one or two samples of each plugin."""

    def __init__(self) -> None:
        self._flows: dict[str, tuple[_Sample, _Sample]] = {}
        self._told: dict[str, tuple[str, int, FlowTotals]] = {}
        """Of which beat, by its life and number; a beat itself would be kept longer than by whom it was heard."""
        self._cpu: dict[str, tuple[_Sample, _Sample]] = {}

    def flows(self, beats: Mapping[str, Beat]) -> dict[str, FlowTotals]:
        """Return totals and rates of each plugin that was heard."""
        _forget(self._flows, beats)
        _forget(self._told, beats)
        return {name: self._flow(name, beat) for name, beat in beats.items()}

    def cpu(self, instances: Mapping[str, Instance], now: datetime) -> dict[str, float]:
        """Return the cores that each running plugin used of late; nothing for one just started."""
        running = {name: each for name, each in instances.items() if each.phase is Phase.RUNNING}
        _forget(self._cpu, running)
        found = {}
        for name, each in running.items():
            # By when it was read: a runtime may show the same reading in several listings.
            sample = _Sample(each.usage.at or now, each.id, each.usage.cpu_s)
            used, _ = _rate(self._cpu, name, sample)
            if used is not None:
                found[name] = used
        return found

    def _flow(self, name: str, beat: Beat) -> FlowTotals:
        known = self._told.get(name)
        if known is not None and known[:2] == (beat.incarnation, beat.number):
            return known[2]
        sent = sum(flow.count for flow in beat.sent)
        received = sum(flow.count for flow in beat.received)
        sample = _Sample(beat.at, beat.incarnation, sent, received)
        sent_rate, received_rate = _rate(self._flows, name, sample)
        found = FlowTotals(
            sent=sent,
            received=received,
            sent_per_s=sent_rate or 0.0,
            received_per_s=received_rate or 0.0,
            lost=sum(flow.lost for flow in beat.received),
            late=sum(flow.late for flow in beat.received),
            refused=beat.refused,
            last_refusal=beat.last_refusal,
            skew_s=beat.skew_s,
        )
        self._told[name] = (beat.incarnation, beat.number, found)
        return found


def _rate(
    samples: dict[str, tuple[_Sample, _Sample]], name: str, new: _Sample
) -> tuple[float | None, float | None]:
    """Keep (older, newer), move them on once they lie `WINDOW` apart; return both rates since older."""
    older, newer = samples.get(name, (new, new))
    if older.life != new.life or new.at < newer.at:
        older = newer = new
    if newer.at - older.at >= WINDOW and new.at - newer.at >= WINDOW:
        older, newer = newer, new
    elif newer.at - older.at < WINDOW:
        newer = new
    samples[name] = (older, newer)
    length = (new.at - older.at).total_seconds()
    if length <= 0:
        return None, None
    return (
        max(0.0, new.first - older.first) / length,
        max(0.0, new.second - older.second) / length,
    )


def _forget(samples: dict[str, Any], names: Collection[str]) -> None:
    for name in [each for each in samples if each not in names]:
        del samples[name]
