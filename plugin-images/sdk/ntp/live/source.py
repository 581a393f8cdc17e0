"""A source of one exchange's stream: its line kept open, its symbols asked for, both able to say how they are."""

import contextlib
import math
from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from time import monotonic
from typing import Any, ClassVar

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ntp.contract.messages import MarketData
from ntp.live.backoff import Backoff
from ntp.live.line import Line, address, seconds
from ntp.live.subscriptions import Subscriptions
from ntp.plugin import DataSourcePlugin

NAMED = 10
"""Symbols that a condition names, at the most."""
TELL_S = 60.0
"""How long what is over at once stays a condition; the count stays in the report."""
QUOTED = 200
"""Characters of a frame that cannot be read, in a condition."""


class LiveSource(DataSourcePlugin):
    """What sources of live markets share. An exchange's own class adds `topics`, `greet` and `take`.

    Its conditions are those of the line, `complaints()`, `FramesUnread` where the exchange sent what nobody
    understands, and `NeverHeard` for symbols that bring nothing.

    Args:
        config: may have `stream_url`, `stale_seconds`, `reconnect_first_seconds` and
            `reconnect_longest_seconds`; raises ValueError by the name of the field.
        url: where the stream is, unless the config says otherwise.
        stale_s: a connection without data for so long is given up, unless the config says otherwise.
        lifetime_s: a connection is replaced at this age, before the exchange ends it.

    Attributes:
        line: the connection; `renew` and `drop` leave it for a new one.
        names: the exchange's symbol, in upper case -> as the config writes it, which is what the wiring knows.
        books: the exchange's symbol -> its best bid and ask, as last seen on this connection.
        trails: the exchange's symbol -> what tells its new ticks from those that were sent; `ntp.live.trail`
            has one for exchanges that count their trades.

    Class attributes:
        counted: counts of a trail that `report` shows for each symbol.
    """

    counted: ClassVar[tuple[str, ...]] = ("duplicates", "late")

    def __init__(
        self, config: dict[str, Any], *, url: str, stale_s: float, lifetime_s: float = math.inf
    ) -> None:
        super().__init__(config)
        self._stale_s = seconds(config, "stale_seconds", stale_s)
        backoff = Backoff(
            seconds(config, "reconnect_first_seconds", 0.5),
            seconds(config, "reconnect_longest_seconds", 60.0),
        )
        self.line = Line(
            address(config, "stream_url", url),
            self._greet,
            backoff,
            stale_after_s=self._stale_s,
            lifetime_s=lifetime_s,
        )
        self.names: dict[str, str] = {}
        self.books: dict[str, tuple[float | None, float | None]] = {}
        self.trails: dict[str, Any] = {}
        self._wanted: set[str] = set()
        self._subscriptions: Subscriptions | None = None
        self._heard: set[str] = set()
        self._silent: dict[str, float] = {}
        """Symbols that were never heard -> when they were first asked for."""
        self._ticks = self._unread = 0
        self._last_unread, self._unread_at = "", -math.inf

    @abstractmethod
    def topics(self, symbols: Iterable[str]) -> set[str]:
        """Return what the exchange is to be asked for, to hear these symbols of the config."""

    @abstractmethod
    async def greet(self, socket: ClientConnection) -> Subscriptions:
        """Log in on a new connection, where the exchange wants that, and return how it is asked for topics.

        Raises:
            LineError: this connection is of no use; the next is tried later.
            PermanentError: no connection will be.
        """

    @abstractmethod
    def take(self, frame: bytes) -> Iterable[MarketData]:
        """Yield the ticks of one frame; `hear` each symbol that it is about.

        A ValueError, OverflowError or msgspec.MsgspecError counts as a frame that cannot be read.
        """

    def complaints(self) -> dict[str, str]:
        """Return what else is wrong right now, as `conditions` does."""
        return {}

    def hear(self, symbol: str) -> None:
        """Take note that a frame has data of this symbol of the exchange."""
        self.line.heard()
        self._heard.add(symbol)
        self._silent.pop(symbol, None)

    def pass_over(self, words: str) -> None:
        """Count a frame, or a part of one, that cannot be read."""
        self._unread += 1
        self._last_unread, self._unread_at = words, monotonic()

    def forget(self, symbol: str) -> None:
        """Drop all that is known of a symbol of the exchange: it is wanted no more."""
        for kept in (self.names, self.books, self.trails, self._silent):
            kept.pop(symbol, None)
        self._heard.discard(symbol)

    async def subscribe(self, symbols: list[str]) -> bool:
        self.names |= {symbol.upper(): symbol for symbol in symbols}
        self._wanted |= self.topics(symbols)
        await self._agree()
        return True

    async def unsubscribe(self, symbols: list[str]) -> bool:
        self._wanted -= self.topics(symbols)
        for symbol in symbols:
            self.forget(symbol.upper())
        await self._agree()
        return True

    async def stream(self) -> AsyncGenerator[MarketData, None]:
        async with aclosing(self.line.frames()) as frames:
            async for frame in frames:
                for tick in self._read(frame):
                    self._ticks += 1
                    yield tick

    def conditions(self) -> dict[str, str]:
        found = {**self.line.conditions(), **self.complaints()}
        now = monotonic()
        if now - self._unread_at < TELL_S:
            frames = "1 frame" if self._unread == 1 else f"{self._unread} frames"
            found["FramesUnread"] = (
                f"{frames} could not be read, the last: {self._last_unread[:QUOTED]}"
            )
        silent = [s for s, since in self._silent.items() if now - since > self._stale_s]
        if silent and not found:
            # An exchange may say yes to a symbol that it does not have, and then nothing.
            names = ", ".join(sorted(self.names[symbol] for symbol in silent)[:NAMED])
            found["NeverHeard"] = (
                f"nothing ever came for {names}: are these symbols of the exchange?"
            )
        return found

    def report(self) -> dict[str, Any]:
        return {
            "ticks": self._ticks,
            **self.line.report(),
            **{what: self._counts(what) for what in self.counted},
            "never_heard": sorted(self.names[symbol] for symbol in self._silent),
            "unread_frames": self._unread,
            "last_unread": self._last_unread,
        }

    def _counts(self, what: str) -> dict[str, int]:
        counts = ((self.names[s], getattr(trail, what)) for s, trail in self.trails.items())
        return {symbol: count for symbol, count in counts if count}

    def _read(self, frame: bytes) -> Iterator[MarketData]:
        try:
            yield from self.take(frame)
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            self.pass_over(f"{error}: {frame[:120].decode(errors='replace')}")

    async def _greet(self, socket: ClientConnection) -> None:
        # What was the best bid before the connection was lost says nothing of now.
        self.books.clear()
        subscriptions = self._subscriptions = await self.greet(socket)
        self._await_symbols()
        await subscriptions.agree(self._wanted)

    async def _agree(self) -> None:
        if self._subscriptions is None or self.line.socket is None:
            return  # the next connection asks for what is wanted then
        self._await_symbols()
        with contextlib.suppress(ConnectionClosed):
            await self._subscriptions.agree(self._wanted)

    def _await_symbols(self) -> None:
        now = monotonic()
        for symbol in self.names.keys() - self._heard:
            self._silent.setdefault(symbol, now)
