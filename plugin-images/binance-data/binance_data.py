"""Live trades of Binance's spot market, each with the best bid and ask as last seen before it."""

from collections.abc import Iterable, Iterator
from math import isfinite
from time import monotonic
from typing import Any

from binance_frames import Event, Reply, moment, read
from binance_requests import MOST_STREAMS, Requests
from websockets.asyncio.client import ClientConnection

from ntp import MarketData, PluginMetadata
from ntp.live.line import seconds
from ntp.live.source import TELL_S, LiveSource
from ntp.live.trail import Trail

URL = "wss://stream.binance.com:9443/ws"
CHANNELS = ("trade", "bookTicker")
_TRADES = {"trade", "aggTrade"}


class BinanceData(LiveSource):
    """Sends trades of Binance's spot market as they happen; reconnects by itself."""

    counted = ("missed", "duplicates", "late", "renumbered")

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(
            config,
            url=URL,
            stale_s=60.0,
            # The exchange ends a connection at 24 hours.
            lifetime_s=seconds(config, "lifetime_seconds", 84_600.0),
        )
        self._channels = list(config.get("channels", CHANNELS))
        self._requests: Requests | None = None
        self._refused: dict[str, str] = {}
        self._gap: tuple[float, str] | None = None

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(
            name="binance_data",
            version="1.0.0",
            author="the ntp project",
            description=(self.__doc__ or "").strip(),
            requirements=["websockets>=15"],
        )

    def validate_config(self) -> bool:
        if unknown := set(self._channels) - {*_TRADES, "bookTicker"}:
            raise ValueError(
                f"channels had {', '.join(sorted(unknown))}; there are trade, aggTrade, bookTicker"
            )
        if len(_TRADES.intersection(self._channels)) != 1:
            raise ValueError(
                "channels needs exactly one of trade and aggTrade: they make the ticks"
            )
        symbols = self.config.get("symbols", [])
        if len(symbols) * len(self._channels) > MOST_STREAMS:
            raise ValueError(
                f"{len(symbols)} symbols with {len(self._channels)} channels each are more than the"
                f" {MOST_STREAMS} streams of one connection; share them between entries"
            )
        return True

    async def subscribe(self, symbols: list[str]) -> bool:
        names = self.names.keys() | {symbol.upper() for symbol in symbols}
        if len(names) * len(self._channels) > MOST_STREAMS:
            return False
        return await super().subscribe(symbols)

    def forget(self, symbol: str) -> None:
        super().forget(symbol)
        self._refused.pop(symbol, None)

    def topics(self, symbols: Iterable[str]) -> set[str]:
        return {f"{symbol.lower()}@{channel}" for symbol in symbols for channel in self._channels}

    async def greet(self, socket: ClientConnection) -> Requests:
        self._refused.clear()
        self._requests = Requests(socket)
        return self._requests

    def complaints(self) -> dict[str, str]:
        found = {}
        if self._refused:
            symbols = ", ".join(sorted(self._refused))
            found["SubscribeRefused"] = f"{symbols}: {next(iter(self._refused.values()))}"
        if self._gap is not None and monotonic() - self._gap[0] < TELL_S:
            found["TradesMissed"] = self._gap[1]
        return found

    def take(self, frame: bytes) -> Iterator[MarketData]:
        said = read(frame)
        if isinstance(said, Reply):
            self._answered(said)
        elif said.kind == "serverShutdown":
            self.line.renew("the exchange announced serverShutdown")
        elif said.symbol not in self.names:
            pass  # under way when it was unsubscribed
        elif said.kind in _TRADES:
            self.hear(said.symbol)
            tick = self._tick(said)
            if tick is not None:
                yield tick
        elif not said.kind and isinstance(said.bid, str) and isinstance(said.ask, str):
            self.hear(said.symbol)
            self.books[said.symbol] = (float(said.bid), float(said.ask))

    def _answered(self, reply: Reply) -> None:
        streams = self._requests.answered(reply.id) if self._requests else []
        if reply.fault is None:
            return
        words = f"the exchange said {reply.fault.code} {reply.fault.msg}"
        for stream in streams or ["(unknown request)"]:
            self._refused[stream.partition("@")[0].upper()] = words

    def _tick(self, event: Event) -> MarketData | None:
        """Return the trade as a tick; None for one that is not to be sent."""
        aggregate = event.kind == "aggTrade"
        number = event.ask if aggregate else event.trade
        price, volume = float(event.price), float(event.quantity)
        if type(number) is not int or event.time <= 0 or not (isfinite(price) and isfinite(volume)):
            raise ValueError(f"no {event.kind} with number, price, quantity and time")
        trail = self.trails.setdefault(event.symbol, Trail())
        missed = trail.missed
        if not trail.take(number, event.time):
            return None
        name = self.names[event.symbol]
        if trail.missed > missed and trail.gap:
            self._gap = (monotonic(), _missed(trail.missed - missed, name, *trail.gap))
        bid, ask = self.books.get(event.symbol, (None, None))
        return MarketData(
            moment(event.time),
            name,
            price,
            volume,
            bid,
            ask,
            {"buyer_maker": event.buyer_maker},
            f"{event.symbol}:{'a' if aggregate else ''}{number}",
        )


def _missed(count: int, name: str, first: int, last: int) -> str:
    if count == 1:
        return f"1 trade of {name} was missed: {first}"
    return f"{count} trades of {name} were missed: {first} to {last}"
