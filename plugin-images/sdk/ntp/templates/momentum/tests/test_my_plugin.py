"""Run `pytest` in the plugin's folder; the fixtures come with ntp-sdk."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from my_plugin import Config, MyPlugin

from ntp import MarketData, PluginTester, SignalType

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


def ticks(*prices):
    return [
        MarketData(NOON + timedelta(seconds=i), "BTCUSDT", price, 1.0)
        for i, price in enumerate(prices)
    ]


def test_it_signals_on_the_sample(sample_data):
    result = PluginTester.test_strategy(MyPlugin, sample_data)
    sides = [signal.signal_type for signal in result.signals]
    assert set(sides) == {SignalType.BUY, SignalType.SELL}
    # What was told is not told again before the other side was.
    assert all(one is not other for one, other in pairwise(sides))


def test_a_straight_way_up_is_momentum_1(plugin_tester):
    result = plugin_tester({"lookback": 3}).run(ticks(1.0, 2.0, 3.0, 4.0, 5.0))
    assert [(signal.price, signal.confidence) for signal in result.signals] == [(4.0, 1.0)]
    assert result.indicators == {"BTCUSDT": {"momentum": 1.0}}


def test_half_the_way_is_a_half(plugin_tester):
    # Net move 2, way gone 4.
    made = plugin_tester({"lookback": 4, "threshold": 0.5}).run(ticks(1.0, 2.0, 3.0, 2.0, 3.0))
    assert [signal.confidence for signal in made.signals] == [0.5]
    none = plugin_tester({"lookback": 4, "threshold": 0.51}).run(ticks(1.0, 2.0, 3.0, 2.0, 3.0))
    assert none.signals == []


def test_a_price_that_does_not_move_is_no_momentum(plugin_tester):
    assert plugin_tester({}).run(ticks(*[5.0] * 40)).signals == []


def test_a_life_that_goes_on_does_not_repeat_what_was_told():
    plugin = MyPlugin({"lookback": 3})
    plugin.restore(msgspec.json.decode(msgspec.json.encode({"told": SignalType.BUY})))
    assert PluginTester(plugin).run(ticks(1.0, 2.0, 3.0, 4.0)).signals == []


@pytest.mark.parametrize("config", [{"lookback": 1}, {"threshold": 1}, {"look": 14}])
def test_a_config_that_cannot_work_is_refused_by_name(config):
    with pytest.raises(msgspec.ValidationError, match=next(iter(config))):
        MyPlugin(config)


def test_the_manifest_says_what_the_code_does(plugin_manifest):
    described = plugin_manifest.config_schema["properties"]
    assert {name: field["default"] for name, field in described.items()} == msgspec.structs.asdict(
        Config()
    )
