"""Run `pytest` in the plugin's folder; the fixtures come with ntp-sdk."""

import statistics

import msgspec
import pytest
from my_plugin import Config, MyPlugin

from ntp import PluginTester, SignalType


def by_hand(prices, period, width):
    """The same from the definition, each window anew: the position and the side of each signal."""
    told = None
    for at in range(period - 1, len(prices)):
        window = prices[at - period + 1 : at + 1]
        middle, reach = statistics.fmean(window), width * statistics.pstdev(window)
        away = prices[at] - middle
        if (told is SignalType.BUY and away >= 0) or (told is SignalType.SELL and away <= 0):
            told = None
        side = SignalType.BUY if away < 0 else SignalType.SELL
        if abs(away) > reach and side is not told:
            told = side
            yield prices[at], side


def test_it_signals_where_the_definition_says_so(sample_data, sample_ticks):
    prices = [tick.price for tick in sample_ticks]
    result = PluginTester.test_strategy(MyPlugin, sample_data, config={"period": 20})
    expected = list(by_hand(prices, 20, 2.0))
    assert [(signal.price, signal.signal_type) for signal in result.signals] == expected
    assert {side for _, side in expected} == {SignalType.BUY, SignalType.SELL}


def test_confidence_is_a_share(plugin_tester, sample_data):
    result = plugin_tester({"std_dev": 1.0}).run(sample_data)
    assert all(0 <= signal.confidence <= 1 for signal in result.signals)


def test_a_life_that_goes_on_from_a_snapshot_signals_as_if_it_never_ended(sample_ticks):
    ticks = sample_ticks
    whole, first, second = MyPlugin({}), MyPlugin({}), MyPlugin({})
    before = [first.analyze(tick, ()) for tick in ticks[:200]]
    second.restore(msgspec.json.decode(msgspec.json.encode(first.snapshot())))
    after = [second.analyze(tick, ()) for tick in ticks[200:]]
    assert before + after == [whole.analyze(tick, ()) for tick in ticks]


@pytest.mark.parametrize("config", [{"period": 1}, {"std_dev": 0}, {"periods": 20}])
def test_a_config_that_cannot_work_is_refused_by_name(config):
    with pytest.raises(msgspec.ValidationError, match=next(iter(config))):
        MyPlugin(config)


def test_the_manifest_says_what_the_code_does(plugin_manifest):
    described = plugin_manifest.config_schema["properties"]
    assert {name: field["default"] for name, field in described.items()} == msgspec.structs.asdict(
        Config()
    )
