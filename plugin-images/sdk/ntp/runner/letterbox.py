"""Where a plugin's dead letters go: kept by the bus before the sender's stream forgets the message."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import msgspec

from ntp.connection import Ack, Link, Message
from ntp.contract import subjects
from ntp.contract.launch import LaunchFile
from ntp.contract.letters import HEADER, Letter
from ntp.postbox import PAYLOAD_LIMIT
from ntp.runner.core.dead import Dead, glimpse, short

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Letterbox:
    """Without a stream for it (an older controller) it keeps nothing: what is refused is gone.

    Attributes:
        dead: how many messages of this life were dead.
    """

    def __init__(self, launch: LaunchFile) -> None:
        self._launch = launch
        self.dead = 0
        self._lost = 0
        """Not kept since the last one that was."""
        self._link: Link | None = None

    def listen(self, link: Link) -> None:
        if self._launch.dead_letters:
            self._link = link

    @property
    def kept(self) -> bool:
        """Whether the bus keeps letters for us."""
        return self._link is not None

    async def put(self, sender: str, message: Message, dead: Dead) -> "list[asyncio.Future[Ack]]":
        """Send a letter, and return what to wait for before the message is acknowledged."""
        self.dead += 1
        if self._link is None:
            return []
        letter = _letter(self._launch.instance, sender, message, dead)
        place = _place(message)
        stored = await self._link.bury(
            subjects.dead_letter(sender, place),
            message.payload[:PAYLOAD_LIMIT],
            f"{letter.stream}:{place}:{letter.receiver}",
            # Plain ASCII, for a header is one line.
            {HEADER: json.dumps(msgspec.to_builtins(letter))},
        )
        stored.add_done_callback(self._answered)
        return [stored]

    async def begin(self, sender: str, message: Message, count: int) -> bool:
        """Note, durably, that `message` is begun for the `count`-th time; False: that stood there already."""
        if self._link is None:
            return True
        name = f"try:{message.stream}:{_place(message)}:{self._launch.instance}:{count}"
        noted = await self._link.bury(subjects.attempt(sender, count), b"", name, {})
        return not (await asyncio.shield(noted)).duplicate

    async def settled(self) -> None:
        """Return once the broker has heard what was acknowledged, or is away."""
        if self._link is not None and self._link.stats.connected:
            try:
                await self._link.flush()
            except TimeoutError:
                return  # what it did not hear comes again

    def warnings(self) -> dict[str, str]:
        if not self._lost:
            return {}
        told = (
            f"{self._lost} that could not be taken were not kept, for as many lie there as have room;"
            f" `ntpctl dlq list {self._launch.instance}`, then `retry` or `drop`"
        )
        return {"DeadLettersFull": told}

    def _answered(self, stored: "asyncio.Future[Ack]") -> None:
        if not stored.cancelled():
            self._lost = 0 if stored.result().seq else self._lost + 1


def _letter(receiver: str, sender: str, message: Message, dead: Dead) -> Letter:
    encoded = message.subject.rpartition(".")[2]
    return Letter(
        receiver=receiver,
        sender=sender,
        stream=message.stream,
        seq=message.seq,
        stored=_EPOCH + timedelta(microseconds=message.stored_ns // 1000),
        reason=dead.reason,
        message=short(dead.message),
        tries=dead.tries,
        at=datetime.now(UTC),
        id=short(glimpse(message.payload).id),
        symbol="" if encoded == subjects.PROGRESS_TOKEN else short(subjects.symbol(encoded)),
        cut=len(message.payload) > PAYLOAD_LIMIT,
    )


def _place(message: Message) -> str:
    return f"{message.seq}-{message.stored_ns}"
