"""Messages that must arrive: in order, several under way, again until the broker has stored them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from ntp.retransmission import RetransmissionTimer

WINDOW = 256
"""Messages under way; a further one waits for room."""
PATIENCE = 5.0
"""Seconds without an answer until everything under way is sent again, at most."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
_WRONG_LAST_ID = 10070
"""JetStream's error code: the message before this one was not stored (Nats-Expected-Last-Msg-Id)."""
_FULL = ("maximum bytes exceeded", "maximum messages exceeded")
"""What JetStream says of a full stream, under a code that it has for any failure to store."""

Send = Callable[[str, bytes, str, dict[str, str]], Awaitable[object]]
"""subject, payload, reply subject, headers."""


class Ack(msgspec.Struct, frozen=True):
    """Where JetStream keeps a message; `duplicate`: it was there before; `seq` 0: it was full."""

    stream: str
    seq: int
    duplicate: bool = False


class _Refusal(msgspec.Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct, frozen=True):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _Refusal | None = None


class _Entry:
    __slots__ = ("done", "headers", "msg_id", "number", "payload", "sends", "sent_at", "subject")

    def __init__(
        self, number: int, subject: str, payload: bytes, msg_id: str, headers: dict[str, str]
    ) -> None:
        self.number = number
        self.subject = subject
        self.payload = payload
        self.msg_id = msg_id
        self.headers = {"Nats-Msg-Id": msg_id, **headers}
        self.sends = 0
        self.sent_at = 0.0
        self.done: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()


class Outbox:
    """Keeps what is not yet acknowledged and sends it in rounds.

    A message sent before its predecessor was acknowledged names that one, so the server refuses it
    rather than storing it out of order; a refusal, a silence, an answer that was left out, or a
    reconnect begins a new round with the oldest. The message id makes a repetition harmless
    (JetStream answers `duplicate`). Answers do get lost: a server forgets where to those under way
    go when it is told other claims of the account that keeps the stream (nats-server 2.15).

    `ordered` False: in any order, and what a full stream refuses is given up (`Ack.seq` 0).
    `window`: may be changed while nothing is sent; what was taken before stays, and waits.
    """

    def __init__(
        self,
        send: Send,
        inbox: str,
        report: Callable[[str], None],
        *,
        patience: float = PATIENCE,
        first_pause: float = FIRST_PAUSE,
        window: int = WINDOW,
        ordered: bool = True,
    ) -> None:
        self.window = window
        self._ordered = ordered
        self._patience = patience
        self._timer = RetransmissionTimer(patience)
        self._heard = 0.0
        """When an answer came last, or this round began."""
        self._first_pause = first_pause
        self._send = send
        self._inbox = inbox
        self._report = report
        self._entries: deque[_Entry] = deque()
        self._sent = 0
        """How many of `_entries`, from the left, were sent in this round."""
        self._round = 0
        self._last_number = 0
        self._pause = first_pause
        self._not_before = 0.0
        self._online = False
        self._work = asyncio.Event()
        self._changed = asyncio.Condition()
        self._decode = msgspec.json.Decoder(_Answer).decode
        self.repeats = 0
        """Rounds that began because of a refusal, a silence, an answer left out or a reconnect."""

    @property
    def unacked(self) -> int:
        return len(self._entries)

    async def submit(
        self, subject: str, payload: bytes, msg_id: str, headers: dict[str, str] | None = None
    ) -> "asyncio.Future[Ack]":
        """Take a message; returns as soon as the window has room. The future ends with its Ack."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._entries) < self.window)
            self._last_number += 1
            entry = _Entry(self._last_number, subject, payload, msg_id, headers or {})
            self._entries.append(entry)
        self._work.set()
        return entry.done

    async def settle(self) -> None:
        """Wait until everything taken so far was acknowledged."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._entries)

    def online(self, *, connected: bool) -> None:
        """A connection was made (all is sent again) or lost (nothing is sent)."""
        self._online = connected
        self._not_before = 0.0
        self._again()

    def answer(self, token: str, payload: bytes) -> None:
        """Take an answer that arrived at `<inbox>.<number>.<round>`; empty: nobody serves the subject."""
        number, _, round_ = token.partition(".")
        entry = next((e for e in self._entries if e.number == int(number)), None)
        if entry is None:
            return
        try:
            answer = self._decode(payload) if payload else _Answer()
        except msgspec.MsgspecError as error:
            answer = _Answer(error=_Refusal(description=f"an unreadable answer ({error})"))
        if answer.seq and answer.error is None:
            first = entry is self._entries[0]
            self._acknowledge(entry, Ack(answer.stream, answer.seq, answer.duplicate))
            if self._ordered and not first and int(round_) == self._round:
                self._again()  # answers come in order: that of the one before it is lost
        elif not self._ordered and answer.error and answer.error.description in _FULL:
            self._acknowledge(entry, Ack(answer.stream, 0))
        elif int(round_) == self._round:  # what an older round met was already acted upon
            self._refused(entry, answer.error)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._work.clear()  # before the pause: what comes meanwhile is to be told, too
            pause = self._not_before - loop.time()
            if pause > 0:
                await asyncio.sleep(pause)
            while self._online and not self._work.is_set():
                if self._sent >= min(len(self._entries), self.window):
                    break
                await self._send_next()
            try:
                # Without anything under way there is nothing to be patient about.
                due = self._heard + self._timer.timeout if self._online and self._sent else None
                async with asyncio.timeout_at(due):
                    await self._work.wait()
            except TimeoutError:
                if self._entries:  # else the last answer came together with the alarm
                    self._silence()
            async with self._changed:
                self._changed.notify_all()

    def _silence(self) -> None:
        if self._timer.timeout >= self._patience:  # before that it may be one that got lost
            self._report(
                f"the broker did not acknowledge {self._entries[0].msg_id!r} in"
                f" {self._patience:g} s; {len(self._entries)} messages are sent again"
            )
        self._timer.silent()
        self._again()

    async def _send_next(self) -> None:
        entry = self._entries[self._sent]
        now = asyncio.get_running_loop().time()
        if not self._sent:
            self._heard = now
        entry.sends, entry.sent_at = entry.sends + 1, now
        headers = entry.headers
        if self._sent and self._ordered:
            headers = dict(headers)
            headers["Nats-Expected-Last-Msg-Id"] = self._entries[self._sent - 1].msg_id
        self._sent += 1
        reply = f"{self._inbox}.{entry.number}.{self._round}"
        await self._send(entry.subject, entry.payload, reply, headers)

    def _acknowledge(self, entry: _Entry, ack: Ack) -> None:
        self._heard = asyncio.get_running_loop().time()
        if entry.sends == 1:
            self._timer.answered(self._heard - entry.sent_at)
        at = self._entries.index(entry)
        del self._entries[at]
        if at < self._sent:
            self._sent -= 1
        if not entry.done.done():
            entry.done.set_result(ack)
        self._pause = self._first_pause
        self._work.set()

    def _refused(self, entry: _Entry, error: _Refusal | None) -> None:
        if error is None or error.err_code != _WRONG_LAST_ID:
            words = error.description if error else "nobody stores this subject (stream missing?)"
            self._report(f"the broker did not take {entry.msg_id!r}: {words}; it is sent again")
            self._not_before = asyncio.get_running_loop().time() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE * self._first_pause / FIRST_PAUSE)
        self._again()

    def _again(self) -> None:
        if self._sent:
            self.repeats += 1
        self._sent = 0
        self._round += 1
        self._work.set()
