"""Live trades (or bars) of US stocks from Polygon.io, with bid and ask where quotes are subscribed."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from polygon_frames import Event, Minute, Quote, Second, Status, Trade, read
from polygon_session import Session, fault
from polygon_trail import Trail
from websockets.asyncio.client import ClientConnection

from ntp import MarketData, PluginMetadata
from ntp.live.line import LineError
from ntp.live.source import LiveSource

URL = "wss://socket.polygon.io/stocks"
CHANNELS = ("T",)
_TICKS = {"T", "A", "AM"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PolygonData(LiveSource):
    """Sends trades or bars of US stocks as they happen; reconnects by itself."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config, url=URL, stale_s=300.0)
        self._key = config.get("api_key", "")
        self._channels = list(config.get("channels", CHANNELS))
        self._refused = ""

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

    def topics(self, symbols: Iterable[str]) -> set[str]:
        return {f"{channel}.{symbol.upper()}" for symbol in symbols for channel in self._channels}

    async def greet(self, socket: ClientConnection) -> Session:
        self._refused = ""
        session = Session(socket)
        await session.log_in(self._key)
        return session

    def complaints(self) -> dict[str, str]:
        return {"SubscribeRefused": self._refused} if self._refused else {}

    def take(self, frame: bytes) -> Iterator[MarketData]:
        events, complaint = read(frame)
        if complaint:
            self.pass_over(complaint)
        for event in events:
            tick = self._tick(event)
            if tick is not None:
                yield tick

    def _tick(self, event: Event) -> MarketData | None:
        match event:
            case Status():
                self._told(event)
            case Quote() if event.sym in self.names:
                self.hear(event.sym)
                self.books[event.sym] = (event.bp, event.ap)
            case Trade() if event.sym in self.names:
                self.hear(event.sym)
                return self._trade(event)
            case Minute() | Second() if event.sym in self.names:
                self.hear(event.sym)
                return self._bar(event)
            case _:
                pass  # under way when it was unsubscribed
        return None

    def _told(self, status: Status) -> None:
        found = fault(status)
        if status.status == "error":
            self._refused = f"the exchange said: {status.message}"
        elif found is None:
            return
        elif isinstance(found, LineError):
            self.line.drop(str(found))
        else:
            raise found

    def _trade(self, event: Trade) -> MarketData | None:
        name = f"{event.x}:{event.i}" if event.i else f"q{event.q}"
        moment = _moment(event.t)
        if not self._trail(event.sym).take(name, event.t):
            return None
        return MarketData(
            moment,
            self.names[event.sym],
            event.p,
            event.s,
            *self.books.get(event.sym, (None, None)),
            {"exchange": event.x, "conditions": event.c},
            f"{event.sym}:{name}",
        )

    def _bar(self, event: Minute | Second) -> MarketData | None:
        name = f"{'AM' if isinstance(event, Minute) else 'A'}{event.s}"
        # Its end, not its start: before it the close was not known.
        moment = _moment(event.e)
        if not self._trail(event.sym).take(name, event.e):
            return None
        return MarketData(
            moment,
            self.names[event.sym],
            event.c,
            event.v,
            *self.books.get(event.sym, (None, None)),
            {"open": event.o, "high": event.h, "low": event.l, "vwap": event.vw},
            f"{event.sym}:{name}",
        )

    def _trail(self, symbol: str) -> Trail:
        return self.trails.setdefault(symbol, Trail())


def _moment(time: int) -> datetime:
    """Raises OverflowError for a time that no calendar has, before a trail takes it for the newest."""
    return _EPOCH + timedelta(milliseconds=time)
