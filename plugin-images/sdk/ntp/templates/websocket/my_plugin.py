"""Live ticks of an exchange that sends them by WebSocket.

It speaks a plain protocol to begin with; `topics`, `ask` and `take` are where yours differs. Everything else is
done: `ntp.live` reconnects with back-off, subscribes anew, notices silence, and says in `status` what is wrong.

    we send        {"op": "subscribe", "symbols": ["BTCUSDT"]}, likewise "unsubscribe"
    it answers     {"symbol": "BTCUSDT", "time": 1704196800000, "price": 100.5, "volume": 2.0,
                    "bid": 100.4, "ask": 100.6, "id": 17}; time is Unix milliseconds
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, convert
from websockets.asyncio.client import ClientConnection

from ntp import MarketData
from ntp.live.source import LiveSource
from ntp.live.subscriptions import Subscriptions

URL = "wss://stream.example.com/ticks"
"""No exchange is there: write yours here, in config_schema and in `egress` of plugin.yaml."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry's `config` may say; config_schema in plugin.yaml says the same to who writes one."""

    stream_url: Annotated[str, Meta(pattern="^wss?://")] = URL
    symbols: list[str] = []
    stale_seconds: Annotated[float, Meta(gt=0)] = 60.0


class Tick(Struct):
    """A frame as the exchange sends it; other fields are passed over."""

    symbol: str
    time: int
    price: float
    volume: float = 0.0
    bid: float | None = None
    ask: float | None = None
    id: int | str = ""


class Requests(Subscriptions):
    """How one connection is asked for symbols, and asked to stop."""

    async def ask(self, topics: list[str], *, on: bool) -> None:
        request = {"op": "subscribe" if on else "unsubscribe", "symbols": topics}
        await self.socket.send(msgspec.json.encode(request).decode())


class MyPlugin(LiveSource):
    """Sends the exchange's ticks as they come; reconnects by itself."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.settings = convert(config, Config)
        super().__init__(config, url=URL, stale_s=60.0)
        self._frames = msgspec.json.Decoder(Tick)

    def topics(self, symbols: Iterable[str]) -> set[str]:
        """Return what the exchange is asked for, to hear these symbols."""
        return set(symbols)

    async def greet(self, socket: ClientConnection) -> Requests:
        """Return how a new connection is asked. A log-in belongs here too."""
        return Requests(socket)

    def take(self, frame: bytes) -> Iterator[MarketData]:
        """Yield the ticks of one frame; one that cannot be read is counted and shown in `status`."""
        said = self._frames.decode(frame)
        name = self.names.get(said.symbol.upper())
        if name is None:
            return  # under way when it was unsubscribed
        self.hear(said.symbol.upper())
        yield MarketData(
            timestamp=datetime.fromtimestamp(said.time / 1000, UTC),
            symbol=name,
            price=said.price,
            volume=said.volume,
            bid=said.bid,
            ask=said.ask,
            id=str(said.id),
        )
