"""`PluginTester.test_strategy` and `test_data_source`: what they return, and all that they refuse."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import pytest

from ntp import DataSourcePlugin, MarketData, PluginTester, StrategyPlugin, TradingSignal
from ntp.runner.core.objects import ConfigRefusedError
from ntp.testing import PluginFailedError

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def tick(second, symbol="BTC", price=1.0):
    return MarketData(NOON + timedelta(seconds=second), symbol, price, 1.0)


class Always(StrategyPlugin):
    confidence = 0.5

    def analyze(self, data, _history):
        return TradingSignal(data.symbol, "BUY", self.confidence, data.price)


class Sure(Always):
    confidence = 3.0


class Config(msgspec.Struct, forbid_unknown_fields=True):
    period: Annotated[int, msgspec.Meta(ge=2)] = 20


class Typed(Always):
    def __init__(self, config):
        super().__init__(config)
        msgspec.convert(config, Config)


class Says(DataSourcePlugin):
    finite = True
    said: tuple = ()

    async def stream(self):
        for item in self.said:
            yield item


class Silent(DataSourcePlugin):
    async def stream(self):
        await asyncio.Event().wait()
        yield


def says(*items, finite=True):
    return type("Told", (Says,), {"said": items, "finite": finite})


async def test_a_strategy_is_run_from_a_file_within_a_running_loop_too(tmp_path):
    file = tmp_path / "ticks.csv"
    file.write_text("timestamp,symbol,price\n2024-01-02T12:00:00Z,BTC,5.0\n")
    result = PluginTester.test_strategy(Always, file)
    assert [signal.price for signal in result.signals] == [5.0]


def test_a_refused_signal_fails_a_strategy():
    with pytest.raises(
        PluginFailedError, match=r"2 results were refused, the last: confidence .* 3\.0"
    ):
        PluginTester.test_strategy(Sure, [tick(0), tick(1)])


def test_no_tick_at_all_fails_a_strategy():
    with pytest.raises(AssertionError, match="it was shown no tick"):
        PluginTester.test_strategy(Always, [])


def test_a_typed_config_is_refused_by_name():
    assert PluginTester.test_strategy(Typed, [tick(0)], {"period": 2}).ticks == 1
    with pytest.raises(ConfigRefusedError, match=r"constructor raised ValidationError: .*period"):
        PluginTester.test_strategy(Typed, [tick(0)], {"period": 1})


async def test_what_a_source_sent_is_returned():
    result = await PluginTester.test_data_source(
        says(tick(0), tick(1)), config={"symbols": ["BTC"]}
    )
    assert (result.ticks, result.data[0].price, result.ended) == (2, 1.0, True)
    result = await PluginTester.test_data_source(says(tick(0), tick(1), finite=False), limit=1)
    assert (result.ticks, result.ended) == (1, False)


async def test_every_mistake_of_a_source_is_told_at_once():
    source = says(tick(5), tick(4), tick(6, "ETH"), tick(7, price=float("nan")), finite=False)
    with pytest.raises(PluginFailedError) as failed:
        await PluginTester.test_data_source(source, config={"symbols": ["ETH"]})
    words = (
        "1 results were refused, the last: price of BTC was nan",
        "tick 1 is of BTC, which was not subscribed to",
        "tick 2 of BTC is of 2024-08-08T12:00:04+00:00, the one before it of 2024-08-08T12:00:05",
        "stream() came to an end",
    )
    assert len(failed.value.reasons) == len(words)
    assert all(
        reason.startswith(word) for reason, word in zip(failed.value.reasons, words, strict=True)
    )


async def test_a_source_that_says_nothing_fails():
    with pytest.raises(PluginFailedError, match=r"no tick came within 0\.05 s"):
        await PluginTester.test_data_source(Silent({}), duration=0.05)
    with pytest.raises(PluginFailedError, match="no tick came"):
        await PluginTester.test_data_source(says())


async def test_another_kind_is_no_strategy_and_no_source():
    with pytest.raises(TypeError, match="Always is no DataSourcePlugin"):
        await PluginTester.test_data_source(Always)
    with pytest.raises(TypeError, match="Silent is no StrategyPlugin"):
        PluginTester.test_strategy(Silent, [])
