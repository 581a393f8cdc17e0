"""Servers that have joined: each may hold accounts as they were before it was away."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from ntp.bare_nats import errors
from orchestrator.bus.client import Life
from orchestrator.errors import UnreachableError

SAID = "$SYS.SERVER.*.STATSZ"
"""What each server says of itself: when it begins, when it meets another, and every ten seconds."""
SILENT = 30.0
"""Seconds without a word after which a server is gone; where it comes back, it joins anew."""


class Joining:
    """Who has joined since this was made, by what servers say of themselves (STATSZ).

    One that begins has a new id. One that was cut off from the others, and may have missed what they
    were told, keeps its id and has new routes to them.
    """

    def __init__(self, arrived: asyncio.Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._arrived = arrived
        self._clock = clock
        self._routes: dict[str, frozenset[int]] = {}
        self._said: dict[str, float] = {}
        """When each of those whose routes are known last said something."""
        self._waiting: dict[str, float] = {}
        """Ids of those that were not told yet, with when they last said something."""

    async def attend(self, life: Life) -> None:
        """Hear all servers; those that are there now say so at once. `life`: of the system account.

        Raises:
            UnreachableError: it broke.
        """
        inbox = life.client.new_inbox()
        try:
            for subject in (SAID, inbox):
                await life.client.receive(subject, self._take)
            await life.client.publish("$SYS.REQ.SERVER.PING.STATSZ", b"", reply=inbox)
        except (errors.Error, OSError) as error:
            raise UnreachableError(f"the broker cannot be heard: {error}") from error

    def waiting(self) -> frozenset[str]:
        """Return the ids of those that joined and are still there."""
        earliest = self._clock() - SILENT
        self._waiting = {each: at for each, at in self._waiting.items() if at > earliest}
        return frozenset(self._waiting)

    def told(self, servers: frozenset[str]) -> None:
        """These hold all as it is now."""
        for each in servers:
            self._waiting.pop(each, None)

    def _take(self, _: str, payload: bytes) -> None:
        said: dict[str, Any] = json.loads(payload)
        server = said["server"]["id"]
        routes = frozenset(each["rid"] for each in said["statsz"].get("routes") or ())
        now = self._clock()
        for each in [each for each, at in self._said.items() if at <= now - SILENT]:
            del self._said[each], self._routes[each]
        known = self._routes.get(server)
        self._routes[server], self._said[server] = routes, now
        if known is None or routes - known:
            self._arrived.set()
        elif server not in self._waiting:
            return
        self._waiting[server] = now
