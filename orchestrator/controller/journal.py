"""What the controller has to say: events for later, conditions for now, a log for operators."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from orchestrator.decide.report import Condition
from orchestrator.errors import NtpError, UnreachableError
from orchestrator.ports import Event, Store

log = structlog.get_logger()

WAITING = 1_000
"""Events that wait for a slow follower; then the oldest of them are dropped for it."""
LONGEST = 2_000
"""Characters of a message."""


class Journal:
    """Never raises: a store that cannot be written is a condition, not a reason to stop."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._followers: set[asyncio.Queue[Event]] = set()
        self._conditions: dict[str, Condition] = {}

    def note(self, name: str, reason: str, message: str) -> None:
        self._write(Event(self._now(), name, "Normal", reason, message[:LONGEST]))

    def warn(self, name: str, reason: str, message: str) -> None:
        self._write(Event(self._now(), name, "Warning", reason, message[:LONGEST]))

    def condition(self, type_: str, *, status: bool, reason: str, message: str = "") -> None:
        """Set a condition of the project; an event tells when its status or reason changed."""
        old = self._conditions.get(type_)
        same = old is not None and (old.status, old.reason) == (status, reason)
        since = old.since if old is not None and same else self._now()
        self._conditions[type_] = Condition(type_, status, reason, message[:LONGEST], since)
        if same or (old is None and status):
            return
        (self.note if status else self.warn)(
            "", reason, f"{type_}: {message}" if message else type_
        )

    def conditions(self) -> tuple[Condition, ...]:
        return tuple(self._conditions[type_] for type_ in sorted(self._conditions))

    def holds(self, type_: str) -> bool:
        """Whether a condition is true, or was never doubted."""
        found = self._conditions.get(type_)
        return found is None or found.status

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Tell by the condition StoreSound whether the store works; raises what it raises."""
        try:
            yield
        except UnreachableError as error:
            self._unsound(error)
            raise
        self._sound()

    async def follow(self, name: str | None, *, limit: int) -> AsyncGenerator[Event, None]:
        """Yield the last `limit` events, then those to come; of one plugin, or of all. None is lost."""
        queue: asyncio.Queue[Event] = asyncio.Queue(WAITING)
        self._followers.add(queue)
        try:
            # Read before anything else can run: what comes after it is in the queue.
            for event in self._store.events(name=name, limit=limit):
                yield event
            while True:
                event = await queue.get()
                if name is None or event.name == name:
                    yield event
        finally:
            self._followers.discard(queue)

    def _write(self, event: Event) -> None:
        log.info(
            "event", plugin=event.name, type=event.type, reason=event.reason, text=event.message
        )
        for queue in self._followers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)
        try:
            self._store.log(event)
        except NtpError as error:
            self._unsound(error)
        else:
            self._sound()

    def _sound(self) -> None:
        old = self._conditions.get("StoreSound")
        if old is None or not old.status:
            self._conditions["StoreSound"] = Condition(
                "StoreSound", status=True, reason="Written", message="", since=self._now()
            )

    def _unsound(self, error: NtpError) -> None:
        old = self._conditions.get("StoreSound")
        if old is None or old.status:
            log.error("store.unreachable", cause=str(error))
            self._conditions["StoreSound"] = Condition(
                "StoreSound",
                status=False,
                reason="Unwritable",
                message=str(error),
                since=self._now(),
            )
