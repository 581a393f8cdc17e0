"""Run `pytest` in the plugin's folder; the fixtures come with ntp-sdk. A local server plays the exchange."""

import asyncio

import msgspec
import pytest
from my_plugin import Config, MyPlugin
from my_plugin_exchange import answer, exchange

from ntp import PluginTester
from ntp.testing import PluginFailedError


@pytest.fixture
def heard():
    """Has the plugin hear so many ticks of these answers; returns the result and what was asked."""

    def hear(answers, limit):
        asked = []
        with exchange(answers, asked) as url:
            config = {"url": url, "symbols": ["BTCUSDT"], "every_seconds": 0.001}
            run = PluginTester.test_data_source(MyPlugin, config=config, limit=limit)
            return asyncio.run(run), asked

    return hear


def test_it_sends_what_the_exchange_answers(heard, sample_ticks):
    rows = sample_ticks[:20]
    result, asked = heard(map(answer, rows), len(rows))
    assert [(t.timestamp, t.price, t.volume, t.bid, t.ask) for t in result.data] == [
        (row.timestamp, row.price, row.volume, row.bid, row.ask) for row in rows
    ]
    assert asked[0] == {"symbol": ["BTCUSDT"]}


def test_the_same_tick_again_is_not_sent_again(heard, sample_ticks):
    first, second = sample_ticks[:2]
    result, _ = heard(map(answer, (first, first, second)), 2)
    assert [tick.price for tick in result.data] == [first.price, second.price]


def test_what_cannot_be_read_is_counted_and_ends_nothing(heard, sample_ticks):
    row = sample_ticks[0]
    result, _ = heard([(200, "no json"), (200, "{}"), (500, "down"), answer(row)], 1)
    assert [tick.price for tick in result.data] == [row.price]
    assert result.report["unread_answers"] == 2


def test_an_exchange_that_does_not_answer_shows_in_status():
    with exchange([], []) as url:
        plugin = MyPlugin({"url": url, "symbols": ["BTCUSDT"]})
        with pytest.raises(PluginFailedError, match="no tick came"):
            asyncio.run(PluginTester.test_data_source(plugin, duration=0.1))
    assert url in plugin.conditions()["Disconnected"]


@pytest.mark.parametrize("config", [{"url": "ftp://x"}, {"every_seconds": 0}, {"symbol": "A"}])
def test_a_config_that_cannot_work_is_refused_by_name(config):
    with pytest.raises(msgspec.ValidationError, match=next(iter(config))):
        MyPlugin(config)


def test_the_manifest_says_what_the_code_does(plugin_manifest):
    described = plugin_manifest.config_schema["properties"]
    assert {name: field["default"] for name, field in described.items()} == msgspec.structs.asdict(
        Config()
    )
