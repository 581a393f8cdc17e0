"""Run `pytest` in the plugin's folder; the fixtures come with ntp-sdk."""

import asyncio

import msgspec
import pytest
from my_plugin import Config, MyPlugin

from ntp import PluginTester

HEADER = "timestamp,symbol,price,volume,bid,ask\n"


@pytest.fixture
def played(plugin_tester, tmp_path):
    """Plays a text, from a storage of its own; returns the result."""

    def play(text, **config):
        (tmp_path / "mine.csv").write_text(text)
        return plugin_tester({"file": "mine.csv", **config}, storage=tmp_path).run()

    return play


def test_it_sends_every_row_of_the_sample(sample_ticks):
    result = asyncio.run(PluginTester.test_data_source(MyPlugin, config={"symbols": ["BTCUSDT"]}))
    said = [(tick.timestamp, tick.price, tick.volume, tick.bid, tick.ask) for tick in result.data]
    rows = sample_ticks
    assert said == [(row.timestamp, row.price, row.volume, row.bid, row.ask) for row in rows]
    assert result.report == {"bad_rows": 0, "last_bad": ""}


def test_it_sends_what_is_subscribed_to(played):
    row = "2024-01-02T12:00:00Z,{},1.0,1,,\n"
    text = HEADER + row.format("A") + row.format("B")
    assert [tick.symbol for tick in played(text).data] == ["A", "B"]
    assert [tick.symbol for tick in played(text, symbols=["B"]).data] == ["B"]


@pytest.mark.parametrize("bad", ["2024-13-02,A,1.0,1,,", "2024-01-02,A,one,1,,", "2024-01-02"])
def test_a_bad_row_is_passed_over_and_named(played, bad):
    result = played(f"{HEADER}{bad}\n2024-01-02T12:00:00Z,A,2.0,1,,\n")
    assert [tick.price for tick in result.data] == [2.0]
    assert result.report["bad_rows"] == 1
    assert result.report["last_bad"].startswith("mine.csv:2: ")


@pytest.mark.parametrize("file", ["../my_plugin.py", "none.csv", "/etc/hostname"])
def test_it_reads_no_file_of_others(file):
    with pytest.raises(ValueError, match="was not found"):
        MyPlugin({"file": file}).validate_config()


@pytest.mark.parametrize("config", [{"file": ""}, {"symbols": "BTCUSDT"}, {"path": "a.csv"}])
def test_a_config_that_cannot_work_is_refused_by_name(config):
    with pytest.raises(msgspec.ValidationError, match=next(iter(config))):
        MyPlugin(config)


def test_the_manifest_says_what_the_code_does(plugin_manifest):
    described = plugin_manifest.config_schema["properties"]
    assert {name: field["default"] for name, field in described.items()} == msgspec.structs.asdict(
        Config()
    )
