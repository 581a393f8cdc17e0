"""A source that ticks at a steady rate; each tick's time is the moment at which it was made."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from ntp import DataSourcePlugin, MarketData, PluginMetadata


class Pulse(DataSourcePlugin):
    """Ticks `rate` times a second, `count` times in all."""

    finite = True

    def get_metadata(self) -> PluginMetadata:
        schema = {"symbols": "list", "rate": "int", "count": "int"}
        return PluginMetadata(
            "pulse", "1.0.0", description=self.__doc__ or "", config_schema=schema
        )

    async def stream(self) -> AsyncGenerator[MarketData, None]:
        clock = asyncio.get_running_loop().time
        began, rate = clock(), self.config["rate"]
        for number in range(self.config["count"]):
            early = began + number / rate - clock()
            if early > 0:
                await asyncio.sleep(early)
            yield MarketData(datetime.now(UTC), "PULSE", 100.0 + number % 7, 1.0)
