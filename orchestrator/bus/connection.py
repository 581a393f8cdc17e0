"""The port `Bus`: the controller's own ear for beats, and its voice for control messages."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from ntp.bare_nats import errors
from ntp.contract import subjects
from ntp.contract.beat import Beat
from orchestrator.bus.beats import BeatBook
from orchestrator.bus.client import Life, dial
from orchestrator.errors import NtpError, UnreachableError

log = structlog.get_logger()

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
LULL_S = 0.5
"""While nobody waits for what beats say: they are read together, twice a second."""
_Now = Callable[[], datetime]


class NatsBus:
    """Made by `listen`."""

    def __init__(self, now: _Now, lull_s: float) -> None:
        self.listening_since: datetime | None = None
        self._now = now
        self._lull_s = lull_s
        self._book = BeatBook()
        self._life: Life | None = None
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._closely = True

    def attend(self, *, closely: bool) -> None:
        self._closely = closely
        if self._life is not None:
            self._life.rest(0.0 if closely else self._lull_s)

    def beats(self) -> Mapping[str, tuple[Beat, datetime]]:
        return self._book.all()

    @property
    def forged(self) -> int:
        """Beats that named somebody else than their sender: dropped."""
        return self._book.forged

    async def changes(self) -> AsyncIterator[str]:
        """Yield names for ever; a name that changed several times meanwhile comes once."""
        while True:
            while self._changed:
                name = next(iter(self._changed))
                del self._changed[name]
                yield name
            self._wake.clear()
            await self._wake.wait()

    async def control(self, instance: str, payload: Mapping[str, Any]) -> None:
        """Send to one plugin, at most once.

        Raises:
            UnreachableError: the broker is away.
        """
        life = self._life
        if life is None or life.lost.is_set():
            raise UnreachableError(f"the broker is away; {instance} was not told")
        try:
            await life.client.publish(f"ctl.{instance}", msgspec.json.encode(payload))
        except errors.Error as error:
            raise UnreachableError(f"the broker went away; {instance} was not told") from error
        await life.settle()

    async def run(self, address: Callable[[], str], credentials: Callable[[], bytes]) -> None:
        """Listen for ever, dialling again with a back-off whenever the connection breaks."""
        pause = FIRST_PAUSE
        said = ""
        while True:
            try:
                async with dial(address(), credentials(), name="ntp controller (bus)") as life:
                    await life.client.receive("beat.*", self._heard)
                    await life.settle()
                    self._life, self.listening_since = life, self._now()
                    self.attend(closely=self._closely)
                    pause, said = FIRST_PAUSE, ""
                    await life.lost.wait()
            except (NtpError, errors.Error, OSError) as error:
                if str(error) != said:  # one line a cause, not one a try
                    said = str(error)
                    log.warning("bus.unreachable", cause=said)
            finally:
                self._life = self.listening_since = None
            if _told_to_end():
                # What a broken connection raises while it is closed can take a cancellation's place.
                raise asyncio.CancelledError
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _heard(self, subject: str, payload: bytes) -> None:
        instance = subject.removeprefix(f"{subjects.BEAT}.")
        if self._book.take(instance, payload, self._now()):
            self._changed[instance] = None
            self._wake.set()


def _told_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@asynccontextmanager
async def listen(
    address: Callable[[], str],
    credentials: Callable[[], bytes],
    *,
    now: _Now = lambda: datetime.now(UTC),
    lull_s: float = LULL_S,
) -> AsyncIterator[NatsBus]:
    """Listen as long as the block lasts; entering it waits for nothing.

    Address and credentials are asked for at every dial, since the broker may have moved.
    """
    bus = NatsBus(now, lull_s)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bus.run(address, credentials))
        try:
            yield bus
        finally:
            while not running.done():
                running.cancel()
                await asyncio.wait([running], timeout=0.5)
