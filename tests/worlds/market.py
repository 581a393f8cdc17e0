"""The bundled recording, a market of given prices, and what a strategy says to either."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from replay_data import ReplayData

from ntp import MarketData, StrategyPlugin, TradingSignal

START = datetime(2026, 1, 2, tzinfo=UTC)


def recording() -> list[MarketData]:
    """Return ticks of one's own: a tester writes into them what indicators say."""

    async def read() -> list[MarketData]:
        return [tick async for tick in ReplayData({}).stream()]

    return asyncio.run(read())


def ticks(prices: Iterable[float], rsi: Sequence[float] = ()) -> list[MarketData]:
    """Return a tick a second. `rsi`: what the indicator says of each, if it says anything."""
    return [
        MarketData(
            START + timedelta(seconds=i),
            "BTC",
            price,
            1.0,
            metadata={"indicators": {"rsi_indicator": rsi[i]}} if rsi else {},
        )
        for i, price in enumerate(prices)
    ]


def told(strategy: StrategyPlugin, data: Iterable[MarketData]) -> list[tuple[int, TradingSignal]]:
    """Return each signal with the position of the tick that it was made at."""
    made = ((i, strategy.analyze(tick, ())) for i, tick in enumerate(data))
    return [(i, signal) for i, signal in made if signal is not None]


def told_in_two_lives(
    strategy: type[StrategyPlugin], data: Sequence[MarketData], cut: int
) -> list[tuple[int, TradingSignal]]:
    """As `told`, by two objects: at `cut` the second goes on from the first one's snapshot."""
    first, second = strategy({}), strategy({})
    before = told(first, data[:cut])
    second.restore(msgspec.json.decode(msgspec.json.encode(first.snapshot())))
    return before + [(i + cut, signal) for i, signal in told(second, data[cut:])]
