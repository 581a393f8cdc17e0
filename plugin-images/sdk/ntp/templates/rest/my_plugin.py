"""Ticks of an exchange that is asked for them over HTTP, again and again.

It speaks a plain protocol to begin with; `_ask` and `transform` are where yours differs.

    we ask         GET {url}?symbol=BTCUSDT
    it answers     {"symbol": "BTCUSDT", "timestamp": 1704196800000, "price": 100.5, "volume": 2.0,
                    "bid": 100.4, "ask": 100.6}; timestamp is Unix milliseconds
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import datetime
from http.client import HTTPException
from time import monotonic
from typing import Annotated, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from msgspec import Meta, Struct, convert

from ntp import DataSourcePlugin, MarketData
from ntp.live.backoff import Backoff

URL = "https://api.example.com/ticker"
"""No exchange is there: write yours here, in config_schema and in `egress` of plugin.yaml."""
ANSWER_S = 10.0
LARGEST_ANSWER = 1024 * 1024
UNREACHABLE = (OSError, HTTPException)
"""What urllib raises, errors of HTTP among them."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry's `config` may say; config_schema in plugin.yaml says the same to who writes one."""

    url: Annotated[str, Meta(pattern="^https?://")] = URL
    symbols: list[str] = []
    every_seconds: Annotated[float, Meta(gt=0)] = 1.0


class MyPlugin(DataSourcePlugin):
    """Asks for the newest tick of each symbol, and sends what is new; waits longer while nobody answers."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.settings = convert(config, Config)
        self._symbols: list[str] = []
        self._newest: dict[str, datetime] = {}
        self._backoff = Backoff(self.settings.every_seconds, 60.0)
        self._trouble = ""
        self._unread = 0
        self._last_unread = ""

    async def subscribe(self, symbols: list[str]) -> bool:
        self._symbols += [symbol for symbol in symbols if symbol not in self._symbols]
        return True

    async def unsubscribe(self, symbols: list[str]) -> bool:
        self._symbols = [symbol for symbol in self._symbols if symbol not in symbols]
        return True

    async def stream(self) -> AsyncGenerator[MarketData, None]:
        while True:
            began = monotonic()
            try:
                for symbol in list(self._symbols):
                    tick = await self._newest_tick(symbol)
                    if tick is not None:
                        yield tick
            except UNREACHABLE as error:
                self._trouble = f"{self.settings.url} does not answer: {error}"
                await asyncio.sleep(self._backoff.next())
            else:
                self._trouble = ""
                self._backoff.reset()
                await asyncio.sleep(max(0.0, self.settings.every_seconds - (monotonic() - began)))

    def conditions(self) -> dict[str, str]:
        return {"Disconnected": self._trouble} if self._trouble else {}

    def report(self) -> dict[str, Any]:
        return {"unread_answers": self._unread, "last_unread": self._last_unread}

    async def _newest_tick(self, symbol: str) -> MarketData | None:
        """Return the newest tick; None where it was sent already, or cannot be read."""
        # In a thread: urllib waits for the answer, and the plugin has more to do meanwhile.
        answer = await asyncio.to_thread(self._ask, symbol)
        try:
            tick = self.transform(json.loads(answer))
        except (TypeError, ValueError) as error:
            self._unread += 1
            self._last_unread = f"{error}: {answer[:120].decode(errors='replace')}"
            return None
        if symbol in self._newest and tick.timestamp <= self._newest[symbol]:
            return None
        self._newest[symbol] = tick.timestamp
        return tick

    def _ask(self, symbol: str) -> bytes:
        address = f"{self.settings.url}?{urlencode({'symbol': symbol})}"
        try:
            with urlopen(address, timeout=ANSWER_S) as answer:
                return bytes(answer.read(LARGEST_ANSWER))
        except HTTPError as error:
            error.close()  # it holds the connection
            raise
