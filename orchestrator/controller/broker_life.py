"""Waits until another life of the broker serves: its listener heard, its rights as they are wanted."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

from orchestrator.controller.loop import Loop
from orchestrator.controller.picture import BROKER
from orchestrator.controller.rooms import Rooms
from orchestrator.decide.report import Outcome, Progress, Waiting
from orchestrator.decide.state import Phase

POLL_S = 0.1


async def served_again(
    rooms: Rooms, loop: Loop, life: str, *, deadline: timedelta
) -> AsyncGenerator[Progress | Outcome, None]:
    """Yield each change of what is waited for, then the outcome.

    `life`: the id of the life that is replaced; empty: none ran, and any will do.
    """
    clock = asyncio.get_running_loop().time
    ends = clock() + deadline.total_seconds()
    told = ("", "")
    while (now := _seen(rooms, loop, life)) != ("Running", ""):
        if now != told:
            told = now
            yield Progress(0, 1, BROKER, *now)
        if clock() >= ends:
            break
        await asyncio.sleep(min(POLL_S, max(0.0, ends - clock())))
    ready = now == ("Running", "")
    if ready:
        yield Progress(1, 1, BROKER, *now)
    waiting = [] if ready else [Waiting(BROKER, *now)]
    yield Outcome(rooms.desk.book.revision, ready, [], waiting)


def _seen(rooms: Rooms, loop: Loop, life: str) -> tuple[str, str]:
    """Return (state, what is missing); nothing is missing once it serves."""
    instance = (loop.observed.instances or {}).get(BROKER)
    if instance is None or instance.id == life or instance.phase is not Phase.RUNNING:
        message = loop.postponed.get(BROKER, "its last life is being replaced")
        return ("Starting", message)
    if rooms.outside.bus.listening_since is None:
        return ("Starting", "it does not answer yet")
    if not rooms.rights.compared:
        return ("Starting", "the rights of the plugins are being set")
    return ("Running", "")
