"""Run `pytest` in the plugin's folder; the fixtures come with ntp-sdk."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from my_plugin import Config, MyPlugin

from ntp import PluginTester, SignalType, StrategyPlugin, TradingSignal


class EveryTen(StrategyPlugin):
    """Buys one at the first tick and at every 20th after it, sells at those between."""

    seen = 0

    def analyze(self, data, history):
        self.seen += 1
        if self.seen % 10 != 1:
            return None
        side = SignalType.BUY if self.seen % 20 == 1 else SignalType.SELL
        return TradingSignal(data.symbol, side, 0.5, data.price, size=1.0)


def test_each_signal_is_filled_at_the_quote_of_the_next_tick(sample_data, sample_ticks):
    ticks = sample_ticks
    result = PluginTester.test_strategy(EveryTen, sample_data, executor=MyPlugin({}))
    expected = [
        (side, Decimal(str(tick.ask if side == "buy" else tick.bid)))
        for at, tick in enumerate(ticks[1:])
        if at % 10 == 0
        for side in ["buy" if at % 20 == 0 else "sell"]
    ]
    assert [(fill.side, fill.price) for fill in result.fills] == expected
    assert all(fill.fee == fill.price * Decimal("0.001") for fill in result.fills)


def test_what_was_realised_is_what_the_prices_say(sample_data):
    fills = PluginTester(EveryTen, executor=MyPlugin({})).run(sample_data).fills
    bought, sold = fills[0::2], fills[1::2]
    for buy, sell in zip(bought, sold, strict=False):
        assert sell.realised == sell.price - buy.price
        assert buy.realised == 0


def test_a_signal_that_comes_again_after_a_crash_counts_once(sample_ticks):
    tick = sample_ticks[0]
    signal = TradingSignal("BTCUSDT", SignalType.BUY, 1.0, 100.0, 2.0, metadata={"signal_id": "1"})

    async def lives():
        first, second = MyPlugin({}), MyPlugin({})
        await first.process_signal(signal)
        second.restore(msgspec.json.decode(msgspec.json.encode(first.snapshot())))
        await second.process_signal(signal)
        return [await second.on_data(tick), await second.on_data(tick)]

    filled, nothing = asyncio.run(lives())
    assert (filled.quantity, nothing) == (2, None)


def test_halted_it_opens_nothing_and_closes_what_it_holds(sample_ticks):
    tick = sample_ticks[0]
    buy = TradingSignal("BTCUSDT", SignalType.BUY, 1.0, 100.0, 2.0, metadata={"signal_id": "1"})
    again = TradingSignal("BTCUSDT", SignalType.BUY, 1.0, 100.0, 2.0, metadata={"signal_id": "2"})

    async def story():
        plugin = MyPlugin({})
        await plugin.process_signal(buy)
        opened = await plugin.on_data(tick)
        await plugin.on_halt("any", "a test", flatten=True)
        closed = await plugin.on_data(tick)
        await plugin.process_signal(again)
        return opened, closed, await plugin.on_data(tick)

    opened, closed, nothing = asyncio.run(story())
    assert (opened.side, closed.side, closed.reason, nothing) == ("buy", "sell", "flatten", None)


@pytest.mark.parametrize("config", [{"fee_rate": 1}, {"fee": 0.1}])
def test_a_config_that_cannot_work_is_refused_by_name(config):
    with pytest.raises(msgspec.ValidationError, match=next(iter(config))):
        MyPlugin(config)


def test_the_manifest_says_what_the_code_does(plugin_manifest):
    described = plugin_manifest.config_schema["properties"]
    assert {name: field["default"] for name, field in described.items()} == msgspec.structs.asdict(
        Config()
    )
