"""One client's socket: reads, writes, pings, ends, and meets the faults."""

import asyncio
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from ntp.exchange.answer import Answer, Close, Send
from ntp.exchange.backlog import Backlog, Data
from ntp.exchange.faults import Fault, Strikes
from ntp.exchange.mangler import Mangler
from ntp.exchange.rules import Rules

CLOSE_S = 1.0
FAREWELL_S = 0.5


class Socket(ServerConnection):
    """A connection that tells of PING and PONG frames too: the exchange counts them."""

    on_control: Callable[[], None] | None = None

    def process_event(self, event: object) -> None:
        super().process_event(event)  # type: ignore[arg-type]
        if (
            isinstance(event, Frame)
            and event.opcode in (Opcode.PING, Opcode.PONG)
            and self.on_control
        ):
            self.on_control()


class Talk(Protocol):
    """What differs between the two protocols, seen from the socket."""

    def hear(self, text: str | bytes) -> Iterable[Answer]:
        """Answer one request, and subscribe to what it asked for."""

    def control(self) -> Close | None:
        """Count a PING or PONG."""

    def strike(self, fault: Fault) -> Iterable[Answer]:
        """Let a fault of this protocol happen."""

    def overdue(self) -> tuple[float, Iterable[Answer]] | None:
        """The age in seconds at which the connection ends by itself, and how; None: not now."""

    def too_slow(self) -> Iterable[Answer]:
        """How a client is cut that does not read."""


class _EndedError(Exception):
    def __init__(self, answers: Iterable[Answer]) -> None:
        super().__init__()
        self.answers = list(answers)


class Client:
    """Run one connection until either side ends it."""

    def __init__(
        self, socket: Socket, rules: Rules, strikes: Strikes, burst: Callable[[Fault], None]
    ) -> None:
        self.socket = socket
        self._burst = burst
        self._rules = rules
        self._strikes = strikes
        self._mangler = Mangler(strikes.board)
        self._backlog = Backlog(rules.backlog_bytes)
        self._opened_s = time.monotonic()
        self._ending: list[Answer] | None = None
        self._look = asyncio.Event()
        self._last = b"{}"

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._opened_s

    def send(self, item: Data | Answer) -> None:
        """Queue a frame or a closing."""
        self._backlog.put(item)
        if self._backlog.over:
            self._look.set()

    def look(self) -> None:
        """Look at the faults again: they changed."""
        self._look.set()

    def strike(self, fault: Fault, talk: Talk) -> None:
        """Let a fault happen on this connection."""
        value = fault.value or 0.0
        match fault.name:
            case "stall":
                self._mangler.stall(self.age_s + value)
            case "gap":
                self._mangler.gap(int(value))
            case "burst":
                self._burst(fault)
            case "half-json":
                self._mangler.halve()
            case "half-frame":
                self._half_frame()
            case "close":
                self._end([Close(int(value), "fault on command")])
            case _:
                answers = list(talk.strike(fault))
                if any(isinstance(answer, Close) for answer in answers):
                    self._end(answers)
                else:
                    for answer in answers:
                        self.send(answer)

    async def run(self, talk: Talk) -> None:
        """Serve the client; returns when the connection is over."""
        self.socket.on_control = lambda: self._control(talk)
        answers: list[Answer] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(talk))
                group.create_task(self._write())
                group.create_task(self._keep())
                group.create_task(self._watch(talk))
        except* _EndedError as ended:
            answers = next(
                leaf.answers for leaf in ended.exceptions if isinstance(leaf, _EndedError)
            )
        except* ConnectionClosed:
            pass
        await self._farewell(answers)

    def _end(self, answers: Iterable[Answer]) -> None:
        if self._ending is None:
            self._ending = list(answers)
        self._look.set()

    def _control(self, talk: Talk) -> None:
        refusal = talk.control()
        if refusal is not None:
            self._end([refusal])

    async def _read(self, talk: Talk) -> None:
        async for text in self.socket:
            for answer in talk.hear(text):
                self.send(answer)
        raise _EndedError([])

    async def _write(self) -> None:
        while True:
            item = await self._backlog.get()
            match item:
                case Close():
                    raise _EndedError([item])
                case Send():
                    await self.socket.send(item.text, text=True)
                case Data():
                    out = self._mangler.out(
                        item.text, depth_update=item.depth_update, age_s=self.age_s
                    )
                    for text in out:
                        await self.socket.send(text, text=True)
                    self._last = item.text

    async def _keep(self) -> None:
        """Ping as Binance does: the payload is the time, and only a pong that returns it counts."""
        while True:
            await asyncio.sleep(self._rules.ping_s)
            pong = await self.socket.ping(str(time.time_ns() // 1_000_000))
            try:
                async with asyncio.timeout(self._rules.pong_s):
                    await pong
            except TimeoutError:
                raise _EndedError([Close(1008, "Pong timeout")]) from None

    async def _watch(self, talk: Talk) -> None:
        """Wait for what time or a fault brings."""
        while True:
            self._look.clear()
            for fault in self._strikes.due(self.age_s):
                self.strike(fault, talk)
            if self._backlog.over:
                raise _EndedError(talk.too_slow())
            if self._ending is not None:
                raise _EndedError(self._ending)
            overdue = talk.overdue()
            if overdue is not None and self.age_s >= overdue[0]:
                raise _EndedError(overdue[1])
            ages = [
                age for age in (self._strikes.next_s(), overdue and overdue[0]) if age is not None
            ]
            left = max(0.0, min(ages) - self.age_s) if ages else None
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._look.wait()

    async def _farewell(self, answers: list[Answer]) -> None:
        for answer in answers:
            match answer:
                case Send():
                    with suppress(TimeoutError, ConnectionClosed):
                        async with asyncio.timeout(FAREWELL_S):
                            await self.socket.send(answer.text, text=True)
                case Close(code=1006):
                    self.socket.transport.abort()
                case Close():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(CLOSE_S):
                            await self.socket.close(answer.code, answer.reason)
                    self.socket.transport.abort()

    def _half_frame(self) -> None:
        """Write the header of a text frame and half of what it promises, then end the socket."""
        text = self._last
        size = (
            bytes([len(text)])
            if len(text) < 126
            else struct.pack("!BH", 126, min(len(text), 65_535))
        )
        self.socket.transport.write(b"\x81" + size + text[: len(text) // 2])
        self.socket.transport.close()
