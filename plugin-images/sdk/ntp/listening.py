"""A data source that is heard in this process, in the order of calls that a runner keeps."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from ntp.blocks import LIFE
from ntp.contract.messages import MarketData
from ntp.plugin import DataSourcePlugin
from ntp.runner.core import border
from ntp.runner.core.feed import Feed
from ntp.tested import Result


class NotConnectedError(ConnectionError):
    """A source said that it could not connect or subscribe."""


async def listen(
    plugin: DataSourcePlugin,
    instance: str,
    result: Result,
    refusals: border.Refusals,
    *,
    limit: int | None,
    timeout_s: float,
) -> None:
    """Connect, hear what comes into `result`, and disconnect.

    Raises:
        ConnectionError: it could not connect or subscribe.
        TimeoutError: no tick came in time.
    """

    def take(tick: MarketData | None) -> bool:
        if tick is not None:
            result.data.append(tick)
        return limit is not None and len(result.data) >= limit

    try:
        result.ended = await hear(plugin, instance, refusals, take, timeout_s=timeout_s)
    except TimeoutError:
        # What came in time is the result; a market never ends by itself.
        if not result.data:
            raise
    result.ticks = len(result.data)
    result.report = plugin.report()


async def hear(
    plugin: DataSourcePlugin,
    instance: str,
    refusals: border.Refusals,
    take: Callable[[MarketData | None], bool],
    *,
    timeout_s: float,
    connected: Callable[[], None] = lambda: None,
    leaving: Callable[[], None] = lambda: None,
) -> bool:
    """Live one life of a source; return whether its stream came to an end by itself.

    Args:
        plugin: as it was made, not begun.
        instance: whose its ticks are.
        refusals: take note of what the border refuses.
        take: is given each tick, and None for one that was refused; says whether that is enough.
        timeout_s: seconds that its stream is heard.
        connected: called as soon as it is connected and subscribed.
        leaving: called before it is disconnected, whatever ended it.

    Raises:
        NotConnectedError: it said that it could not connect or subscribe.
        TimeoutError: the time was over.
    """
    symbols = plugin.config.get("symbols", [])
    feed = Feed(instance, LIFE, refusals, finite=plugin.finite)
    await plugin.initialize()
    try:
        if await plugin.connect() is False:
            raise NotConnectedError("connect() returned False")
        if symbols and await plugin.subscribe(symbols) is False:
            raise NotConnectedError(f"subscribe({symbols}) returned False")
        connected()
        async with asyncio.timeout(timeout_s), aclosing(plugin.stream()) as stream:
            async for item in stream:
                if take(feed.take(item)):
                    return False
        return True
    finally:
        leaving()
        if symbols:
            await plugin.unsubscribe(symbols)
        await plugin.disconnect()
        await plugin.shutdown()
