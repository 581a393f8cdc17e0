"""Simulated plugins, as far as the controller hears them: one sender beats for all whose pods run.

Their accounts are real, and nobody connects with them: the sender speaks in the controller's own account, where
what plugins say arrives.
"""

import asyncio
import time
from datetime import UTC, datetime

import msgspec

from ntp.contract import subjects
from ntp.contract.beat import Beat, Flow, LatestSignal, Stage
from ntp.contract.messages import SignalType
from ntp.contract.names import Channel, Kind
from orchestrator.bus.client import Life, dial
from orchestrator.cluster.informer import Informer
from orchestrator.decide.state import Phase
from orchestrator.runtime.kubernetes import identity, pods

EVERY_S = 1.0
"""As plugins beat that have something new to say."""
SLICES = 20
"""They do not all beat at once."""


class SimulatedBeats:
    """As long as `run` does. `sent`: how many beats there were."""

    def __init__(self, running: Informer, address: str, credentials: bytes) -> None:
        self._running = running
        self._address = address
        self._credentials = credentials
        self._last: dict[str, Beat] = {}
        self.sent = 0

    async def run(self) -> None:
        await self._first_pod()  # before there is one, the broker may not know the account
        async with dial(self._address, self._credentials, name="simulated beats") as life:
            at = 0
            while True:
                began = time.monotonic()
                for number, pod in enumerate([*(await self._running.objects()).values()]):
                    if number % SLICES == at and pods.phase(pod) is Phase.RUNNING:
                        await self._beat(life, pods.life(pod), identity.read(pod))
                at = (at + 1) % SLICES
                await asyncio.sleep(max(0.0, EVERY_S / SLICES - (time.monotonic() - began)))

    async def _first_pod(self) -> None:
        changed = asyncio.Event()
        with self._running.listening(changed):
            while not await self._running.objects():
                await changed.wait()
                changed.clear()

    async def _beat(self, life: Life, incarnation: str, label: identity.Label | None) -> None:
        if label is None:
            return
        last = self._last.get(label.name)
        now = datetime.now(UTC)
        known = last is not None and last.incarnation == incarnation
        beat = (
            msgspec.structs.replace(last, number=last.number + 1, at=now)
            if known and last is not None
            else _first(label, incarnation, now)
        )
        self._last[label.name] = beat
        await life.client.publish(f"{subjects.BEAT}.{label.name}", msgspec.json.encode(beat))
        self.sent += 1


def _first(label: identity.Label, incarnation: str, now: datetime) -> Beat:
    """Return a beat of the size that one of its kind has after a while."""
    trades = label.kind == Kind.STRATEGY
    values = {"middle": 100.25, "upper": 101.5, "lower": 99.0, "deviation": 0.625}
    heard = [("data_source_00000", Channel.DATA), ("indicator_00000", Channel.INDICATOR)]
    return Beat(
        instance=label.name,
        kind=label.kind,
        incarnation=incarnation,
        generation=label.generation,
        number=1,
        at=now,
        started=now,
        stage=Stage.READY,
        sent=[Flow(label.name, Channel.SIGNAL if trades else Channel.DATA, "SYM0000", 1000)],
        received=[Flow(peer, channel, "SYM0000", 1000, through=1000) for peer, channel in heard],
        skew_s=0.001,
        indicators={"SYM0000": values} if trades else {},
        signal=LatestSignal("SYM0000", SignalType.BUY, 100.25, 0.75, 1.0, now, now)
        if trades
        else None,
    )
