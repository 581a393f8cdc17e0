"""The beat: what the plugin says of itself once a second while that changes, less often while it does not,
and at once when its stage changes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from ntp.confine import ways
from ntp.contract.beat import (
    MOST,
    QUIET_S,
    Beat,
    Condition,
    Flow,
    Halted,
    LatestSignal,
    Pushed,
    Replayed,
    Stage,
)
from ntp.contract.launch import LaunchFile
from ntp.contract.messages import MarketData, SignalMessage
from ntp.contract.names import Channel
from ntp.runner.core import border
from ntp.runner.ending import say

PERIOD_S = 1.0
REPEATED = 3
"""So many beats may say the same, one a period: a rate that is made of totals then shows that nothing moves."""
MOST_FLOWS = 200
"""Edges told one by one; beyond it those of a peer are added up, symbol `*`."""


@dataclass(slots=True)
class Figures:
    """What a part has to say in a beat."""

    sent: Sequence[Flow] = ()
    received: Sequence[Flow] = ()
    newest: MarketData | None = None
    indicators: dict[str, dict[str, float]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    """Condition type (also its reason) -> message; what stands here is true now."""
    pushed: Pushed | None = None
    halted: Halted | None = None
    signal: LatestSignal | None = None
    replayed: Replayed | None = None
    dead: int = 0


class Beats:
    """Sends beats until cancelled.

    Args:
        figures: asked at each beat; what it raises ends the runner.
        publish: sends one payload.
    """

    def __init__(
        self,
        launch: LaunchFile,
        incarnation: str,
        refusals: border.Refusals,
        figures: Callable[[], Figures],
        publish: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._launch = launch
        self._incarnation = incarnation
        self._refusals = refusals
        self._figures = figures
        self._publish = publish
        self._started = datetime.now(UTC)
        self._number = 0
        self._stage = Stage.STARTING
        self._changed = asyncio.Event()
        self._since: dict[str, datetime] = {}
        self._told = 0
        self._said = b""
        self._sent = 0.0
        """What the last beat said, and when, in seconds of the loop's clock."""
        self._same = 0
        """How many beats before the last one said the same."""

    @property
    def stage(self) -> Stage:
        return self._stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        if stage is not self._stage:
            self._stage = stage
            self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            payload, said = self._next()
            if self._is_due(said):
                await self._send(payload, said)
            try:
                async with asyncio.timeout(PERIOD_S):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def once(self) -> None:
        """Send a beat now."""
        await self._send(*self._next())

    def _next(self) -> tuple[bytes, bytes]:
        """Return a beat, and what it says: all of it but its number and its time.

        Both as bytes: a plugin may give the same object again, with other figures in it.
        """
        now = datetime.now(UTC)
        figures = self._figures()
        if self._refusals.count > self._told:
            say(f"refused {self._refusals.count} in all; the last: {self._refusals.last}")
            self._told = self._refusals.count
        beat = self._beat(figures, now)
        try:
            payload = border.encoded(beat)
        except border.RefusedError as error:
            self._refusals.note(f"report(): {error}")
            figures.report, figures.indicators = {}, {}
            beat = self._beat(figures, now)
            payload = border.encoded(beat)
        timeless = msgspec.structs.replace(beat, number=0, at=self._started, skew_s=None)
        return payload, border.encoded(timeless)

    def _is_due(self, said: bytes) -> bool:
        if said != self._said or self._same < REPEATED:
            return True
        # It is looked at once a period: now, if that is nearer to the right time than the next look.
        left = self._sent + QUIET_S - asyncio.get_running_loop().time()
        return left < PERIOD_S / 2

    async def _send(self, payload: bytes, said: bytes) -> None:
        self._number += 1
        self._same = self._same + 1 if said == self._said else 0
        self._said, self._sent = said, asyncio.get_running_loop().time()
        await self._publish(payload)

    def _beat(self, figures: Figures, now: datetime) -> Beat:
        return Beat(
            instance=self._launch.instance,
            kind=self._launch.kind.value,
            incarnation=self._incarnation,
            generation=self._launch.generation,
            number=self._number + 1,
            at=now,
            started=self._started,
            stage=self._stage,
            sent=_told(figures.sent),
            received=_told(figures.received),
            refused=self._refusals.count,
            last_refusal=self._refusals.last[:500],
            egress_refused=dict(ways.refused()),
            dead=figures.dead,
            skew_s=None
            if figures.newest is None
            else (now - figures.newest.timestamp).total_seconds(),
            indicators=figures.indicators,
            conditions=self._conditions(figures.warnings, now),
            report=figures.report,
            pushed=figures.pushed,
            halted=figures.halted,
            signal=figures.signal,
            replayed=figures.replayed,
        )

    def _conditions(self, warnings: dict[str, str], now: datetime) -> list[Condition]:
        self._since = {name: self._since.get(name, now) for name in warnings}
        return [
            Condition(name, status=True, reason=name, message=text, since=self._since[name])
            for name, text in warnings.items()
        ]


def latest(message: SignalMessage) -> LatestSignal:
    """Return a signal, made just now, in short."""
    signal = message.signal
    return LatestSignal(
        symbol=signal.symbol,
        signal_type=signal.signal_type,
        price=signal.price,
        confidence=signal.confidence,
        size=signal.size,
        time=message.tick.time,
        at=datetime.now(UTC),
    )


def _told(flows: Sequence[Flow]) -> list[Flow]:
    if len(flows) <= MOST_FLOWS:
        return list(flows)
    sums: dict[tuple[str, Channel], list[int]] = {}
    for flow in flows:
        total = sums.setdefault((flow.peer, flow.channel), [0, 0, 0])
        total[0] += flow.count
        total[1] += flow.lost
        total[2] += flow.late
    return [
        Flow(peer, channel, "*", *(min(total, MOST) for total in totals))
        for (peer, channel), totals in sums.items()
    ]
