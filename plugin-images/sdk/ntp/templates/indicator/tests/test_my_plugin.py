"""Run `pytest` in the plugin's folder; the fixtures come with ntp-sdk."""

import statistics

import msgspec
import pytest
from my_plugin import Config, MyPlugin


def test_it_is_what_the_definition_says(plugin_tester, sample_data, sample_ticks):
    prices = [tick.price for tick in sample_ticks]
    values = plugin_tester({"period": 20}).run(sample_data).values
    assert len(values) == len(prices)
    assert values[:19] == [None] * 19
    for at in range(19, len(prices)):
        mean = statistics.fmean(prices[at - 19 : at + 1])
        assert values[at] == pytest.approx(100 * (prices[at] - mean) / mean, abs=1e-9)


def test_a_life_that_goes_on_from_a_snapshot_values_as_if_it_never_ended(sample_ticks):
    ticks = sample_ticks
    whole, first, second = MyPlugin({}), MyPlugin({}), MyPlugin({})
    before = [first.update(tick) for tick in ticks[:200]]
    second.restore(msgspec.json.decode(msgspec.json.encode(first.snapshot())))
    after = [second.update(tick) for tick in ticks[200:]]
    assert before + after == [whole.update(tick) for tick in ticks]


@pytest.mark.parametrize("config", [{"period": 0}, {"periods": 20}])
def test_a_config_that_cannot_work_is_refused_by_name(config):
    with pytest.raises(msgspec.ValidationError, match=next(iter(config))):
        MyPlugin(config)


def test_the_manifest_says_what_the_code_does(plugin_manifest):
    described = plugin_manifest.config_schema["properties"]
    assert {name: field["default"] for name, field in described.items()} == msgspec.structs.asdict(
        Config()
    )
