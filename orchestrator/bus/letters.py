"""Dead letters as CORE sees them: counted, read, sent once more, dropped.

What stands in a letter is what its receiver says, in whose hands its runner is. So who received it and
who sent it are read from the subject, which the server made; every text is made harmless; and what is
sent once more goes to that receiver alone.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ntp.confine.shim_output import harmless
from ntp.contract import subjects
from ntp.contract.letters import HEADER, Letter
from ntp.contract.reading import reader
from orchestrator.bus.client import Life
from orchestrator.decide.report import DeadLetter
from orchestrator.errors import ActionError, UnreachableError

_STREAM = subjects.dead_stream("")
_NO_MESSAGE = 10037
"""JetStream's error code: no message found."""
_NO_STREAM = 10059
_read = reader(msgspec.json.Decoder(Letter))


class NatsLetters:
    """The port `Letters`; `core` gives the connection that is used now."""

    def __init__(self, core: Callable[[], Awaitable[Life]]) -> None:
        self._core = core

    async def counts(self) -> Mapping[str, int]:
        """Return how many each receiver has, who has any."""
        found: dict[str, int] = {}
        seen = 0
        while True:
            page = await (await self._core()).jetstream("STREAM.LIST", {"offset": seen})
            items = page.get("streams") or []
            for item in items:
                name, count = item["config"]["name"], item["state"]["messages"]
                if name.startswith(_STREAM) and count:
                    found[name.removeprefix(_STREAM)] = count
            seen += len(items)
            if not items or seen >= int(page.get("total", 0)):
                return found

    async def count(self, receiver: str) -> int:
        answer = await self._ask(f"STREAM.INFO.{subjects.dead_stream(receiver)}")
        return int(answer["state"]["messages"]) if answer else 0

    async def all(self, receiver: str) -> Sequence[DeadLetter]:
        """Return the letters of a receiver, oldest first."""
        found: list[DeadLetter] = []
        after = 0
        while True:
            asked = {"seq": after + 1, "next_by_subj": subjects.letters(receiver)}
            letter = await self._get(receiver, asked)
            if letter is None:
                return found
            found.append(letter)
            after = letter.number

    async def one(self, receiver: str, number: int) -> DeadLetter | None:
        return await self._get(receiver, {"seq": number})

    async def send_again(self, letter: DeadLetter) -> None:
        """Send it to its receiver once more; done twice with one letter, it is sent once."""
        subject = subjects.again(letter.sender, letter.receiver, letter.symbol)
        # A number alone is not enough: a stream that is made anew counts from 1 again.
        name = f"again:{letter.id}:{letter.kept.isoformat()}"
        try:
            core = await self._core()
            answer = await core.request(subject, letter.payload, headers={"Nats-Msg-Id": name})
            told = msgspec.json.decode(answer)
        except (UnreachableError, msgspec.MsgspecError) as error:
            raise UnreachableError(f"the broker did not take {letter.id}: {error}") from error
        if "error" in told:
            words = told["error"].get("description", "")
            raise ActionError(f"the broker did not take {letter.id}: {words}", reason="CannotRetry")

    async def drop(self, receiver: str, number: int) -> bool:
        """Remove a letter; False: it was gone."""
        stream = subjects.dead_stream(receiver)
        # Not erased: overwriting its bytes would cost more than forgetting them.
        body = {"seq": number, "no_erase": True}
        return bool((await self._ask(f"STREAM.MSG.DELETE.{stream}", body)).get("success"))

    async def _get(self, receiver: str, asked: Mapping[str, Any]) -> DeadLetter | None:
        answer = await self._ask(f"STREAM.MSG.GET.{subjects.dead_stream(receiver)}", asked)
        message = answer.get("message")
        return _letter(receiver, message) if message else None

    async def _ask(self, subject: str, body: object = None) -> dict[str, Any]:
        """Ask JetStream; what is not there is empty."""
        answer = await (await self._core()).jetstream(subject, body)
        error = answer.get("error")
        if not error:
            return answer
        gone = error.get("err_code") in {_NO_MESSAGE, _NO_STREAM} or error.get("code") == 404
        # Of a message that was deleted meanwhile: "stream message delete failed".
        if gone or "DELETE" in subject:
            return {}
        words = error.get("description")
        raise ActionError(f"JetStream refused {subject}: {words}", reason="BrokerStreams")


def _letter(receiver: str, message: Mapping[str, Any]) -> DeadLetter:
    number = int(message["seq"])
    parts = str(message["subject"]).split(".")
    payload = base64.b64decode(message.get("data", ""))
    kept = datetime.fromisoformat(message["time"])
    told = _told(base64.b64decode(message.get("hdrs", "")))
    known: dict[str, Any] = {}
    if told is not None:
        known = {
            "symbol": _plain(told.symbol),
            "reason": told.reason.value,
            "message": _plain(told.message),
            "tries": told.tries,
            "signal": _plain(told.id),
            "sent": told.stored,
            "stream": _plain(told.stream),
            "place": told.seq,
            "cut": told.cut,
        }
    return DeadLetter(
        id=f"{receiver}/{number}",
        number=number,
        receiver=receiver,
        sender=_plain(parts[3]) if len(parts) > 3 else "",
        kept=kept,
        size=len(payload),
        payload=payload,
        **known,
    )


def _told(headers: bytes) -> Letter | None:
    for line in headers.splitlines():
        name, _, value = line.partition(b": ")
        if name == HEADER.encode():
            try:
                return _read(value)
            except msgspec.MsgspecError:
                return None
    return None


def _plain(text: str) -> str:
    return harmless(text.encode("utf-8", "replace")).replace("\n", " ")
