"""Live trades of Binance's spot market, each with the best bid and ask as last seen before it."""

import contextlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from math import isfinite
from time import monotonic
from typing import Any

import msgspec
from binance_frames import Event, Reply, moment, read
from binance_requests import MOST_STREAMS, Requests
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ntp import DataSourcePlugin, MarketData, PluginMetadata
from ntp.live.backoff import Backoff
from ntp.live.line import Line, address, seconds
from ntp.live.trail import Trail

URL = "wss://stream.binance.com:9443/ws"
CHANNELS = ("trade", "bookTicker")
_TRADES = {"trade", "aggTrade"}
TELL_S = 60.0
"""How long a gap stays a condition after it was seen; the count stays in the report."""


class BinanceData(DataSourcePlugin):
    """Sends trades of Binance's spot market as they happen; reconnects by itself."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._channels = list(config.get("channels", CHANNELS))
        self._stale_s = seconds(config, "stale_seconds", 60.0)
        backoff = Backoff(
            seconds(config, "reconnect_first_seconds", 0.5),
            seconds(config, "reconnect_longest_seconds", 60.0),
        )
        self._line = Line(
            address(config, "stream_url", URL),
            self._greet,
            backoff,
            stale_after_s=self._stale_s,
            # The exchange ends a connection at 24 hours.
            lifetime_s=seconds(config, "lifetime_seconds", 84_600.0),
        )
        self._names: dict[str, str] = {}
        """The exchange's symbol -> as the config writes it, which is what the wiring knows."""
        self._wanted: set[str] = set()
        self._requests: Requests | None = None
        self._trails: dict[str, Trail] = {}
        self._books: dict[str, tuple[float, float]] = {}
        self._silent: dict[str, float] = {}
        """Symbols that were never heard -> when they were first asked for."""
        self._refused: dict[str, str] = {}
        self._gap: tuple[float, str] | None = None
        self._ticks = self._unread = 0
        self._last_unread = ""

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
        names = {**self._names, **{symbol.upper(): symbol for symbol in symbols}}
        if len(names) * len(self._channels) > MOST_STREAMS:
            return False
        self._names = names
        self._wanted |= self._streams(symbols)
        await self._agree()
        return True

    async def unsubscribe(self, symbols: list[str]) -> bool:
        self._wanted -= self._streams(symbols)
        for symbol in map(str.upper, symbols):
            for kept in (self._names, self._trails, self._books, self._silent, self._refused):
                kept.pop(symbol, None)
        await self._agree()
        return True

    async def stream(self) -> AsyncGenerator[MarketData, None]:
        async with aclosing(self._line.frames()) as frames:
            async for frame in frames:
                try:
                    tick = self._take(read(frame))
                except (msgspec.MsgspecError, ValueError, OverflowError) as error:
                    self._unread += 1
                    self._last_unread = f"{error}: {frame[:120]!r}"
                    continue
                if tick is not None:
                    self._ticks += 1
                    yield tick

    def conditions(self) -> dict[str, str]:
        found = self._line.conditions()
        now = monotonic()
        if self._refused:
            symbols = ", ".join(sorted(self._refused))
            found["SubscribeRefused"] = f"{symbols}: {next(iter(self._refused.values()))}"
        if self._gap is not None and now - self._gap[0] < TELL_S:
            found["TradesMissed"] = self._gap[1]
        silent = [s for s, since in self._silent.items() if now - since > self._stale_s]
        if silent and not found:
            # The exchange says yes to a symbol that it does not have, and then nothing.
            names = ", ".join(sorted(self._names[symbol] for symbol in silent)[:10])
            found["NeverHeard"] = (
                f"nothing ever came for {names}: are these symbols of the exchange?"
            )
        return found

    def report(self) -> dict[str, Any]:
        return {
            "ticks": self._ticks,
            **self._line.report(),
            "missed": self._counts("missed"),
            "duplicates": self._counts("duplicates"),
            "late": self._counts("late"),
            "renumbered": self._counts("renumbered"),
            "never_heard": sorted(self._names[symbol] for symbol in self._silent),
            "unread_frames": self._unread,
            "last_unread": self._last_unread,
        }

    def _counts(self, what: str) -> dict[str, int]:
        counts = ((self._names[s], getattr(trail, what)) for s, trail in self._trails.items())
        return {symbol: count for symbol, count in counts if count}

    def _streams(self, symbols: Iterable[str]) -> set[str]:
        return {f"{symbol.lower()}@{channel}" for symbol in symbols for channel in self._channels}

    async def _greet(self, socket: ClientConnection) -> None:
        # What was the best bid before the connection was lost says nothing of now.
        self._books.clear()
        self._refused.clear()
        self._requests = Requests(socket)
        await self._agree(greeting=True)

    async def _agree(self, *, greeting: bool = False) -> None:
        if self._requests is None or not (greeting or self._line.socket):
            return  # the next connection asks for what is wanted then
        now = monotonic()
        for symbol in self._names.keys() - self._trails.keys() - self._books.keys():
            self._silent.setdefault(symbol, now)
        if greeting:
            await self._requests.agree(self._wanted)
            return
        with contextlib.suppress(ConnectionClosed):
            await self._requests.agree(self._wanted)

    def _take(self, said: Event | Reply) -> MarketData | None:
        if isinstance(said, Reply):
            self._answered(said)
            return None
        if said.kind == "serverShutdown":
            self._line.renew("the exchange announced serverShutdown")
            return None
        if said.symbol not in self._names:
            return None  # under way when it was unsubscribed
        if said.kind in _TRADES:
            self._hear(said.symbol)
            return self._tick(said)
        if not said.kind and isinstance(said.bid, str) and isinstance(said.ask, str):
            self._hear(said.symbol)
            self._books[said.symbol] = (float(said.bid), float(said.ask))
        return None

    def _hear(self, symbol: str) -> None:
        self._line.heard()
        self._silent.pop(symbol, None)

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
        trail = self._trails.setdefault(event.symbol, Trail())
        missed = trail.missed
        if not trail.take(number, event.time):
            return None
        name = self._names[event.symbol]
        if trail.missed > missed and trail.gap:
            words = f"{trail.missed - missed} trades of {name} were missed: {trail.gap[0]} to {trail.gap[1]}"
            self._gap = (monotonic(), words)
        bid, ask = self._books.get(event.symbol, (None, None))
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
