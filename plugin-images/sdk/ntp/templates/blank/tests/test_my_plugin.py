"""Run `pytest` in the plugin's folder; the fixtures come with ntp-sdk."""

import msgspec
import pytest
from my_plugin import Config, MyPlugin

from ntp import PluginTester


def test_it_takes_every_tick_of_the_sample(sample_data, sample_ticks):
    result = PluginTester.test_strategy(MyPlugin, sample_data)
    assert result.ticks == len(sample_ticks)
    assert result.signals == []  # until analyze() is written


@pytest.mark.parametrize("config", [{"position_size": 2}, {"positionsize": 0.02}])
def test_a_config_that_cannot_work_is_refused_by_name(config):
    with pytest.raises(msgspec.ValidationError, match=next(iter(config))):
        MyPlugin(config)


def test_the_manifest_says_what_the_code_does(plugin_manifest):
    described = plugin_manifest.config_schema["properties"]
    assert {name: field["default"] for name, field in described.items()} == msgspec.structs.asdict(
        Config()
    )
