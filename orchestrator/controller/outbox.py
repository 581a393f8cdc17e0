"""Messages on their way out: in order, each tried again with back-off, given up in the end."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from orchestrator.controller.journal import Journal
from orchestrator.decide.alerts import Alert
from orchestrator.decide.backoff import delay
from orchestrator.decide.policy import Tries
from orchestrator.decide.words import span
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.ports import Notifier

log = structlog.get_logger()
CONDITION = "AlertsDelivered"
MOST = 100
"""Messages that wait; then the oldest but the one under way is left out."""
FAREWELL_S = 5.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Of messages; over restarts."""

    delivered: int = 0
    failed: int = 0
    """Given up."""
    retries: int = 0


class Outbox:
    """`written` is called after each change that has to survive us."""

    def __init__(
        self,
        notifier: Notifier,
        journal: Journal,
        *,
        tries: Tries,
        waiting: Sequence[Alert],
        counts: Counts,
        written: Callable[[], None],
    ) -> None:
        self._notifier = notifier
        self._journal = journal
        self._tries = tries
        self._waiting = deque(waiting)
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._written = written
        self.counts = counts

    @property
    def waiting(self) -> tuple[Alert, ...]:
        return tuple(self._waiting)

    def put(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Add to the end; return what is left out for want of room."""
        self._waiting.extend(alerts)
        self._none.clear()
        self._some.set()
        left_out = []
        while len(self._waiting) > MOST:
            left_out.append(self._waiting[1])
            del self._waiting[1]
        return left_out

    async def deliver(self) -> None:
        """Send what there is and what comes, for ever."""
        while True:
            while self._waiting:
                delivered = await self._try(self._waiting[0])
                self._waiting.popleft()
                which = "delivered" if delivered else "failed"
                self._count(which)
                self._written()
            self._none.set()
            self._some.clear()
            await self._some.wait()

    async def emptied(self) -> None:
        """Return when all is delivered or given up, or it takes too long."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._none.wait()
        except TimeoutError:
            pass

    async def _try(self, alert: Alert) -> bool:
        """Tell whether it was delivered, at last."""
        for number in range(1, self._tries.most + 1):
            try:
                await self._notifier.tell(alert)
            except UnreachableError as error:
                if number == self._tries.most:
                    self._failing("NotAnswering", f"{error}; {self._given_up()}")
                    return False
                wait = delay(
                    number, first=self._tries.first, longest=self._tries.longest, seed=alert.id
                )
                left = f"try {number + 1} of {self._tries.most} in {span(wait)}"
                self._failing("NotAnswering", f"{error}; {left}, {self._wait()}")
                self._count("retries")
                await asyncio.sleep(wait.total_seconds())
            except ActionError as error:
                self._failing(error.reason, f"{error}; {self._given_up()}")
                return False
            except Exception as error:
                # As in `Loop`: a bug met with this message must not keep the others from leaving.
                log.exception("alerts.bug", alert=alert.id)
                self._failing("Bug", f"{type(error).__name__}; {self._given_up()}")
                return False
            else:
                self._journal.condition(CONDITION, status=True, reason="Delivered")
                return True
        return False

    def _failing(self, reason: str, message: str) -> None:
        words = f"{self._notifier.place}: {message}"
        self._journal.condition(CONDITION, status=False, reason=reason, message=words)

    def _given_up(self) -> str:
        count = self.counts.failed + 1
        return f"given up: {count} alert{'' if count == 1 else 's'} never arrived, {self._wait()}"

    def _wait(self) -> str:
        count = len(self._waiting)
        return "1 alert waits" if count == 1 else f"{count} alerts wait"

    def _count(self, which: str) -> None:
        self.counts = replace(self.counts, **{which: getattr(self.counts, which) + 1})
