"""A data source heard for a while: that it connects, what it sends, and that it does so a second time."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ntp.confine import door_client, ways
from ntp.contract.messages import MarketData
from ntp.examination.order import Answer, At, Heard, Order
from ntp.examination.raised import raised
from ntp.examination.tasks import PluginRaisedError, maker, plugins
from ntp.listening import NotConnectedError, hear
from ntp.plugin import DataSourcePlugin
from ntp.runner.core import border, conditions


async def listen(order: Order) -> Answer:
    """Hear it until it sent enough, or long enough; then connect anew, as a restart does.

    Raises:
        ConfigRefusedError, EndError: it cannot be run.
    """
    if order.door:
        ways.install(door_client.Door(order.door))
    refusals = border.Refusals()
    told: dict[str, Any] = {}
    ears = [_Ear(order, refusals) for _ in range(2)]
    for number, ear in enumerate(ears):
        try:
            await ear.hear(order.ticks if number == 0 else min(order.ticks, 10))
        except PluginRaisedError as error:
            told["raised"] = raised(error.cause, Path(order.subject.code))
            break
        if not ear.ticks:
            break
    first, again = ears
    heard = first.heard([ear.connected for ear in ears if ear.connected], again.ticks)
    return Answer(
        ticks=first.ticks,
        symbols=first.symbols,
        first=first.first,
        last=first.last,
        border=refusals.count,
        last_refusal=refusals.last,
        heard=heard,
        **told,
    )


class _Ear:
    """One life of a source, in the order of calls that a runner keeps."""

    def __init__(self, order: Order, refusals: border.Refusals) -> None:
        self._order = order
        self._refusals = refusals
        self.ticks = self.yielded = self.disordered_count = 0
        self.symbols: dict[str, int] = {}
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.connected = ""
        self._first_s: float | None = None
        self._seconds = self._ahead_s = 0.0
        self._ended = self._finite = False
        self._disordered: At | None = None
        self._newest: dict[str, datetime] = {}
        self.unasked: list[str] = []
        self.conditions: dict[str, str] = {}

    async def hear(self, ticks: int) -> None:
        with plugins():
            plugin: DataSourcePlugin = maker(self._order.subject).new()
            await self._hear(plugin, ticks)

    async def _hear(self, plugin: DataSourcePlugin, ticks: int) -> None:
        self._finite = plugin.finite
        wanted = plugin.config.get("symbols", [])
        began = time.monotonic()

        def connected() -> None:
            self.connected = f"connected in {time.monotonic() - began:.2f} s"

        def take(tick: MarketData | None) -> bool:
            self.yielded += 1
            if self._first_s is None:
                self._first_s = time.monotonic() - began
            if tick is not None:
                self._note(tick, wanted)
            return self.ticks >= ticks

        def leaving() -> None:
            self.conditions = conditions.checked(plugin.conditions())
            self._seconds = time.monotonic() - began

        try:
            self._ended = await hear(
                plugin,
                self._order.subject.instance,
                self._refusals,
                take,
                timeout_s=self._order.seconds,
                connected=connected,
                leaving=leaving,
            )
        except NotConnectedError as error:
            self.connected = str(error)
        except TimeoutError:
            pass  # a market never ends by itself

    def _note(self, tick: MarketData, wanted: list[str]) -> None:
        symbol, at = tick.symbol, tick.timestamp
        self.ticks += 1
        count = self.symbols[symbol] = self.symbols.get(symbol, 0) + 1
        if wanted and symbol not in wanted and symbol not in self.unasked:
            self.unasked.append(symbol)
        before = self._newest.get(symbol)
        if before is not None and at < before:
            self.disordered_count += 1
            self._disordered = self._disordered or At(symbol, count, tick.id, at)
        else:
            self._newest[symbol] = at
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)
        self._ahead_s = max(self._ahead_s, (at - datetime.now(UTC)).total_seconds())

    def heard(self, connected: list[str], again: int) -> Heard:
        return Heard(
            first_s=self._first_s,
            seconds=self._seconds,
            connected=connected,
            again=again,
            yielded=self.yielded,
            ended=self._ended,
            finite=self._finite,
            unasked=self.unasked,
            conditions=dict(self.conditions),
            disordered=self._disordered,
            disordered_count=self.disordered_count,
            ahead_s=self._ahead_s,
        )
