"""Live trades (or bars) of US stocks from Polygon.io, with bid and ask where quotes are subscribed."""

import contextlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import msgspec
from polygon_frames import Event, Minute, Quote, Second, Status, Trade, read
from polygon_session import Session, fault
from polygon_trail import Trail
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ntp import DataSourcePlugin, MarketData, PluginMetadata
from ntp.live.backoff import Backoff
from ntp.live.line import Line, LineError, address, seconds

URL = "wss://socket.polygon.io/stocks"
CHANNELS = ("T",)
_TICKS = {"T", "A", "AM"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PolygonData(DataSourcePlugin):
    """Sends trades or bars of US stocks as they happen; reconnects by itself."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._key = config.get("api_key", "")
        self._channels = list(config.get("channels", CHANNELS))
        self._stale_s = seconds(config, "stale_seconds", 300.0)
        backoff = Backoff(
            seconds(config, "reconnect_first_seconds", 0.5),
            seconds(config, "reconnect_longest_seconds", 60.0),
        )
        self._line = Line(
            address(config, "stream_url", URL), self._greet, backoff, stale_after_s=self._stale_s
        )
        self._names: dict[str, str] = {}
        """Polygon's symbol -> as the config writes it, which is what the wiring knows."""
        self._wanted: set[str] = set()
        self._session: Session | None = None
        self._trails: dict[str, Trail] = {}
        self._quotes: dict[str, tuple[float | None, float | None]] = {}
        self._silent: dict[str, float] = {}
        """Symbols that were never heard -> when they were first asked for."""
        self._refused = ""
        self._ticks = self._unread = 0
        self._last_unread = ""

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(
            name="polygon_data",
            version="1.0.0",
            author="the ntp project",
            description=(self.__doc__ or "").strip(),
            requirements=["websockets>=15"],
        )

    def validate_config(self) -> bool:
        if not isinstance(self._key, str) or not self._key.strip():
            raise ValueError("api_key is missing; put it into .env and write ${POLYGON_API_KEY}")
        if unknown := set(self._channels) - {*_TICKS, "Q"}:
            raise ValueError(f"channels had {', '.join(sorted(unknown))}; there are T, Q, A and AM")
        if len(_TICKS.intersection(self._channels)) != 1:
            raise ValueError(
                "channels needs exactly one of T, A and AM: they make the ticks, and two of them"
                " would count each volume twice"
            )
        return True

    async def subscribe(self, symbols: list[str]) -> bool:
        self._names |= {symbol.upper(): symbol for symbol in symbols}
        self._wanted |= self._topics(symbols)
        await self._agree()
        return True

    async def unsubscribe(self, symbols: list[str]) -> bool:
        self._wanted -= self._topics(symbols)
        for symbol in map(str.upper, symbols):
            for kept in (self._names, self._trails, self._quotes, self._silent):
                kept.pop(symbol, None)
        await self._agree()
        return True

    async def stream(self) -> AsyncGenerator[MarketData, None]:
        async with aclosing(self._line.frames()) as frames:
            async for frame in frames:
                for event in self._events(frame):
                    tick = self._take(event)
                    if tick is not None:
                        self._ticks += 1
                        yield tick

    def conditions(self) -> dict[str, str]:
        found = self._line.conditions()
        if self._refused:
            found["SubscribeRefused"] = self._refused
        now = monotonic()
        silent = [s for s, since in self._silent.items() if now - since > self._stale_s]
        if silent and not found:
            names = ", ".join(sorted(self._names[symbol] for symbol in silent)[:10])
            found["NeverHeard"] = f"nothing ever came for {names}: are these symbols right?"
        return found

    def report(self) -> dict[str, Any]:
        return {
            "ticks": self._ticks,
            **self._line.report(),
            "duplicates": self._counts("duplicates"),
            "late": self._counts("late"),
            "never_heard": sorted(self._names[symbol] for symbol in self._silent),
            "unread_frames": self._unread,
            "last_unread": self._last_unread,
        }

    def _counts(self, what: str) -> dict[str, int]:
        counts = ((self._names[s], getattr(trail, what)) for s, trail in self._trails.items())
        return {symbol: count for symbol, count in counts if count}

    def _topics(self, symbols: Iterable[str]) -> set[str]:
        return {f"{channel}.{symbol.upper()}" for symbol in symbols for channel in self._channels}

    async def _greet(self, socket: ClientConnection) -> None:
        # What was the best bid before the connection was lost says nothing of now.
        self._quotes.clear()
        self._refused = ""
        session = self._session = Session(socket)
        await session.log_in(self._key)
        self._ask()
        await session.agree(self._wanted)

    async def _agree(self) -> None:
        if self._session is None or self._line.socket is None:
            return  # the next connection asks for what is wanted then
        self._ask()
        with contextlib.suppress(ConnectionClosed):
            await self._session.agree(self._wanted)

    def _ask(self) -> None:
        now = monotonic()
        for symbol in self._names.keys() - self._trails.keys() - self._quotes.keys():
            self._silent.setdefault(symbol, now)

    def _events(self, frame: bytes) -> list[Event]:
        try:
            events, complaint = read(frame)
        except msgspec.MsgspecError as error:
            events, complaint = [], f"{error}: {frame[:120]!r}"
        if complaint:
            self._unread += 1
            self._last_unread = complaint
        return events

    def _take(self, event: Event) -> MarketData | None:
        match event:
            case Status():
                self._told(event)
            case Quote() if event.sym in self._names:
                self._hear(event.sym)
                self._quotes[event.sym] = (event.bp, event.ap)
            case Trade() if event.sym in self._names:
                self._hear(event.sym)
                return self._trade(event)
            case Minute() | Second() if event.sym in self._names:
                self._hear(event.sym)
                return self._bar(event)
            case _:
                pass  # under way when it was unsubscribed
        return None

    def _hear(self, symbol: str) -> None:
        self._line.heard()
        self._silent.pop(symbol, None)

    def _told(self, status: Status) -> None:
        found = fault(status)
        if status.status == "error":
            self._refused = f"the exchange said: {status.message}"
        elif found is None:
            return
        elif isinstance(found, LineError):
            self._line.drop(str(found))
        else:
            raise found

    def _trade(self, event: Trade) -> MarketData | None:
        name = f"{event.x}:{event.i}" if event.i else f"q{event.q}"
        if not self._trail(event.sym).take(name, event.t):
            return None
        return MarketData(
            _EPOCH + timedelta(milliseconds=event.t),
            self._names[event.sym],
            event.p,
            event.s,
            *self._quotes.get(event.sym, (None, None)),
            {"exchange": event.x, "conditions": event.c},
            f"{event.sym}:{name}",
        )

    def _bar(self, event: Minute | Second) -> MarketData | None:
        name = f"{'AM' if isinstance(event, Minute) else 'A'}{event.s}"
        if not self._trail(event.sym).take(name, event.e):
            return None
        return MarketData(
            # Its end, not its start: before it the close was not known.
            _EPOCH + timedelta(milliseconds=event.e),
            self._names[event.sym],
            event.c,
            event.v,
            *self._quotes.get(event.sym, (None, None)),
            {"open": event.o, "high": event.h, "low": event.l, "vwap": event.vw},
            f"{event.sym}:{name}",
        )

    def _trail(self, symbol: str) -> Trail:
        return self._trails.setdefault(symbol, Trail())
