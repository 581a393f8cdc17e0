"""No callback of a plugin may hang: a blocked loop is ended by a thread that needs no Python at all."""

import asyncio
import faulthandler
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, BinaryIO

from ntp.plugin import PermanentError
from ntp.runner.ending import EndError

PERIOD_S = 1.0


class Watch:
    """Two guards. `arm` is for code that blocks the loop, `deadline` and `run` for code that awaits.

    Args:
        timeout_s: longest single callback.
        file: where the traceback of a blocked process goes; it begins with "Timeout (".
    """

    def __init__(self, timeout_s: float, file: BinaryIO) -> None:
        self._timeout_s = timeout_s
        self._file = file

    def arm(self) -> None:
        """Have the process dumped and ended unless this is called again in time."""
        faulthandler.dump_traceback_later(self._timeout_s + PERIOD_S, exit=True, file=self._file)

    def disarm(self) -> None:
        faulthandler.cancel_dump_traceback_later()

    async def run(self, busy: Callable[[], Iterable[tuple[str, float]]]) -> None:
        """Arm again once a second for as long as the loop turns.

        Args:
            busy: the async callbacks that run, and since when, monotonic seconds.
        """
        while True:
            self.arm()
            now = time.monotonic()
            for name, since in busy():
                if now - since > self._timeout_s:
                    raise self._too_long(name)
            await asyncio.sleep(PERIOD_S)

    async def deadline(self, name: str, awaitable: Awaitable[Any]) -> Any:
        """Await a callback, no longer than the timeout.

        Raises:
            EndError: it took longer, or raised (`initialize`: InitializeFailed, and so on).
        """
        guard = asyncio.timeout(self._timeout_s)
        try:
            async with guard:
                return await awaitable
        except Exception as error:
            if isinstance(error, TimeoutError) and guard.expired():
                raise self._too_long(name) from None
            if isinstance(error, PermanentError):
                raise EndError(error.reason, error.message, permanent=True) from error
            raise EndError(
                f"{name.capitalize()}Failed",
                f"{name}() raised {type(error).__name__}: {_said(error)}",
            ) from error

    def _too_long(self, name: str) -> EndError:
        return EndError(
            "CallbackTimeout",
            f"{name}() took longer than {self._timeout_s:g} s;"
            " fix: make it shorter, or give the entry a longer `timeout`",
        )


def _said(error: Exception) -> str:
    # By its attribute: a plugin without TLS shall not import the ssl module for this.
    untrusted = getattr(error, "verify_message", None)
    return (
        f"the certificate of the other side is not trusted: {untrusted}"
        if untrusted
        else str(error)
    )
