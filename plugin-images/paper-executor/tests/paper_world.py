"""Made-up markets and signals for the paper executor, the same for the same seed."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from paper_executor import PaperExecutor

from ntp.contract.launch import Trading
from ntp.contract.messages import MarketData, SignalType, TradingSignal

START = datetime(2026, 1, 2, tzinfo=UTC)
TRADING = Trading(capital="10000", short=True, pyramid=2)
CONFIG = {"equity_every_s": 5, "slippage_fixed": 0.01}

Event = MarketData | TradingSignal


def events(seed: int, count: int = 400) -> Iterator[Event]:
    """Yield ticks of two symbols, some at one time, and after some of them a signal or two."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable market, no secret
    price = {"BTC": 60_000.0, "ETH": 2_500.0}
    time = START
    for number in range(count):
        time += timedelta(milliseconds=rng.choice([0, 0, 1, 700, 2_000]))
        symbol = rng.choice(["BTC", "ETH"])
        price[symbol] = round(price[symbol] * (1 + rng.gauss(0, 0.002)), 2)
        tick_id = f"{symbol}:{number}"
        last = price[symbol]
        yield MarketData(time, symbol, last, 0.5, last - 0.01, last + 0.01, id=tick_id)
        for ordinal in range(rng.choice([0, 0, 0, 0, 1, 2])):
            kind = rng.choice(list(SignalType))
            away = last * rng.choice([0.002, 0.01]) * (1 if kind is SignalType.BUY else -1)
            yield TradingSignal(
                symbol,
                kind,
                0.5,
                last,
                round(rng.uniform(0.001, 0.1), 4),
                stop_loss=round(last - away, 2),
                take_profit=round(last + away, 2),
                metadata={"signal_id": f"st:{tick_id}:{ordinal}", "time": time, "tick_id": tick_id},
            )


async def opened(
    storage: Path | None, trading: Trading = TRADING, *, part: int = 0, **config
) -> PaperExecutor:
    executor = PaperExecutor({**CONFIG, **config})
    executor.instance, executor.strategy = "paper", "st"
    executor.trading, executor.storage = trading, storage
    executor.storage_bytes = part
    assert executor.validate_config()
    await executor.initialize()
    return executor


async def apply(executor: PaperExecutor, event: Event) -> list[str]:
    """Return the ids of the fills that the executor made or told again."""
    if isinstance(event, MarketData):
        fills = await executor.on_data(event)
    else:
        fills = await executor.process_signal(event)
    return [fill.id for fill in fills or []]
