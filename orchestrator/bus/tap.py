"""The end of a tap: hears what one plugin says, with the credentials that the controller gave for it."""

from collections.abc import Callable, Sequence

from ntp.bare_nats import Msg, errors
from orchestrator.bus.client import dial
from orchestrator.errors import UnreachableError

Take = Callable[[str, bytes], None]
"""subject, payload; it must be quick."""


async def hear(
    address: str,
    credentials: bytes,
    subjects: Sequence[str],
    take: Take,
    *,
    began: Callable[[], None],
) -> None:
    """Call `take` for each message until cancelled; `began` once nothing more can be missed.

    Raises:
        UnreachableError: no broker, or it has ended the connection: it went away, the credentials
            are over, or we did not take what it sent.
    """

    async def heard(message: Msg) -> None:
        take(message.subject, message.data)

    try:
        async with dial(address, credentials, name="ntpctl tap") as life:
            for subject in subjects:
                await life.client.subscribe(subject, cb=heard)
            await life.settle()
            began()
            await life.lost.wait()
            words = f": {life.last_error}" if life.last_error else ""
    except (errors.Error, OSError) as error:
        raise UnreachableError(f"the broker cannot be heard: {error}") from error
    raise UnreachableError(f"the broker has ended the connection{words}")
