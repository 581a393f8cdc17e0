"""Hearing one plugin: the controller gives the right to, a thread listens, whoever asked takes its time."""

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from orchestrator.app import call
from orchestrator.app.backlog import Backlog, Heard
from orchestrator.bus.tap import hear
from orchestrator.errors import UnreachableError
from orchestrator.settings import Settings

PATIENCE_S = 30.0
"""How long a broker or a controller that was there may be away."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
STEADY_S = 10.0
"""After a connection that held so long the next is tried almost at once."""
BEGIN_S = 10.0
JOIN_S = 5.0


def listen(
    settings: Settings,
    name: str,
    choose: Callable[[Sequence[str]], Sequence[str]],
    *,
    within_s: Callable[[], float],
    notice: Callable[[str], None],
) -> Generator[Heard | None, None, None]:
    """Yield what `name` says; None when nothing can be missed from now on, and when nothing came.

    Args:
        settings: of the project.
        name: of the plugin.
        choose: which of all subjects of it to hear.
        within_s: asked each time; when nothing came for so long, None is yielded.
        notice: told, in words, that the connection broke and that it is back.

    Raises:
        UnreachableError: no controller or no broker; one that was there is waited for, 30 s.
        ActionError: NoSuchPlugin, and whatever else the controller refuses.
    """
    pause, broke = FIRST_PAUSE_S, 0.0
    began = 0.0
    while True:
        try:
            # Held as long as we listen: hanging up gives the right back.
            with closing(call(settings, "tap", name=name)) as held:
                given, backlog = next(held), Backlog()
                with _listening(given, choose(given["subjects"]), backlog):
                    if broke:
                        notice("listening again; what was said meanwhile is missing")
                    began, broke = time.monotonic(), 0.0
                    yield None
                    while True:
                        yield backlog.take(within_s())
        except UnreachableError as error:
            now = time.monotonic()
            if not began or (broke and now - broke > PATIENCE_S):
                raise
            if not broke:
                broke = now
                notice(str(error))
                pause = FIRST_PAUSE_S if now - began > STEADY_S else pause
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
        yield None


@contextmanager
def _listening(
    given: Mapping[str, Any], subjects: Sequence[str], backlog: Backlog
) -> Iterator[None]:
    """Fill the backlog from a thread while the block lasts; entering it waits until it listens."""
    loop = asyncio.new_event_loop()
    hearing = loop.create_task(
        hear(
            given["address"],
            given["credentials"].encode(),
            subjects,
            backlog.put,
            began=backlog.begin,
        )
    )

    def run() -> None:
        try:
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(hearing)
        except Exception as error:  # noqa: BLE001 (raised again by whoever takes)
            backlog.fail(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="tap", daemon=True)
    thread.start()
    try:
        if not backlog.begun(BEGIN_S):
            raise UnreachableError(f"the broker did not answer in {BEGIN_S:.0f} s")
        yield
    finally:
        with suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(hearing.cancel)
        thread.join(JOIN_S)
