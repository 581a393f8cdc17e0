"""An event that can be waited for with a deadline."""

import asyncio


class Flag(asyncio.Event):
    async def within(self, seconds: float) -> bool:
        """Wait at most so long; return whether it is set."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait()
        except TimeoutError:
            pass
        return self.is_set()
