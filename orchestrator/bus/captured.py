"""Reading a capture as CORE: with a consumer of its own, gone when it is through; nobody else is disturbed."""

import itertools
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import msgspec

from ntp.bare_nats import errors
from ntp.heeding import heeded
from orchestrator.bus.client import DEADLINE, Life
from orchestrator.bus.insisting import NoResponderError, insisting
from orchestrator.errors import ActionError, UnreachableError

BATCH = 256
BATCH_BYTES = 1024 * 1024
"""Of one request; a message is at most an eighth of it."""
_LINGERS_S = 60
"""A consumer whose reader was killed is gone after so long."""
_NEXT = msgspec.json.encode({"batch": BATCH, "max_bytes": BATCH_BYTES, "no_wait": True})
_NO_STREAM = 10059
_CUT_OFF = "the reading of what is captured was cut off"
_NOTHING, _NOBODY = "404", "503"
"""Statuses: no more messages; no responders."""


class NatsCaptures:
    """The port `Captures`; `core` gives the connection that is used now."""

    def __init__(self, core: Callable[[], Awaitable[Life]]) -> None:
        self._core = core

    async def read(self, producer: str) -> AsyncGenerator[Sequence[bytes], None]:
        life = await self._core()
        stream, name = f"MD_{producer}", f"replay-{secrets.token_hex(8)}"
        left = await _begin(life, stream, name)
        inbox = life.client.new_inbox()
        subscription = await life.client.subscribe(f"{inbox}.*")
        question, numbers = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", itertools.count()
        try:
            while True:
                found = await insisting(
                    lambda: _next(life, question, subscription, f"{inbox}.{next(numbers)}")
                )
                left -= len(found)
                if found:
                    yield found
                if left <= 0 or not found:  # what was too old went meanwhile
                    return
        finally:
            await subscription.unsubscribe()
            await life.jetstream(f"CONSUMER.DELETE.{stream}.{name}")


async def _begin(life: Life, stream: str, name: str) -> int:
    """Make the consumer; return how many messages there are."""
    config = {
        "name": name,
        "deliver_policy": "all",
        "ack_policy": "none",
        "mem_storage": True,
        "inactive_threshold": _LINGERS_S * 1_000_000_000,
    }
    body = {"stream_name": stream, "config": config}
    answer = await life.jetstream(f"CONSUMER.CREATE.{stream}.{name}", body)
    error = answer.get("error")
    if error and error.get("err_code") == _NO_STREAM:
        raise ActionError(
            f"nothing is captured of {stream.removeprefix('MD_')}: no stream of the broker is for it",
            reason="NothingCaptured",
        )
    if error:
        raise ActionError(
            f"JetStream refused to read {stream}: {error.get('description')}",
            reason="BrokerStreams",
        )
    return int(answer.get("num_pending", 0))


async def _next(life: Life, subject: str, subscription: Any, reply: str) -> list[bytes]:
    """Ask for messages; return those that came until the broker said that it was all.

    Raises:
        NoResponderError: nobody serves the question: the consumer has gone, most likely.
        UnreachableError: no answer in time, or it was broken off.
    """
    found: list[bytes] = []
    try:
        await life.client.publish(subject, _NEXT, reply=reply)
        while len(found) < BATCH:
            message = await heeded(subscription.next_msg(timeout=DEADLINE))
            if message.reply:
                found.append(message.data)
            elif message.subject == reply:
                # Else it is the end of an earlier question, of which all had come.
                status = (message.headers or {}).get("Status")
                if not found and status != _NOTHING:
                    kind = NoResponderError if status == _NOBODY else UnreachableError
                    raise kind(f"{_CUT_OFF}: status {status}")
                break
    except (errors.Error, OSError) as error:
        words = str(error).removeprefix("nats: ")
        raise UnreachableError(f"{_CUT_OFF}: {words}") from error
    return found
