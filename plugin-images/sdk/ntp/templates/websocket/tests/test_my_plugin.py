"""Run `pytest` in the plugin's folder; the fixtures come with ntp-sdk. A local server plays the exchange."""

import asyncio

import msgspec
import pytest
from my_plugin import Config, MyPlugin
from my_plugin_exchange import exchange, frame

from ntp import PluginTester


async def heard(frames, limit, symbols=("BTCUSDT",)):
    asked = []
    async with exchange(frames, asked) as url:
        config = {"stream_url": url, "symbols": list(symbols)}
        result = await PluginTester.test_data_source(MyPlugin, config=config, limit=limit)
    return result, asked


def test_it_sends_what_the_exchange_sends(sample_ticks):
    rows = sample_ticks[:100]
    frames = [frame(row, number) for number, row in enumerate(rows)]
    result, asked = asyncio.run(heard(frames, len(rows)))
    assert [(t.timestamp, t.price, t.volume, t.bid, t.ask) for t in result.data] == [
        (row.timestamp, row.price, row.volume, row.bid, row.ask) for row in rows
    ]
    assert asked[0] == {"op": "subscribe", "symbols": ["BTCUSDT"]}


def test_a_frame_that_cannot_be_read_is_counted_and_ends_nothing(sample_ticks):
    row = sample_ticks[0]
    bad = ["no json", '{"symbol": "BTCUSDT", "time": "late", "price": 1.0}']
    result, _ = asyncio.run(heard([*bad, frame(row, 1)], 1))
    assert [tick.price for tick in result.data] == [row.price]
    assert result.report["unread_frames"] == 2


def test_another_symbol_than_was_asked_for_is_passed_over(sample_ticks):
    row = sample_ticks[0]
    other = frame(msgspec.structs.replace(row, symbol="OTHER"), 1)
    result, _ = asyncio.run(heard([other, frame(row, 2)], 1))
    assert [tick.symbol for tick in result.data] == ["BTCUSDT"]


@pytest.mark.parametrize("config", [{"stream_url": "http://x"}, {"stale_seconds": 0}, {"url": ""}])
def test_a_config_that_cannot_work_is_refused_by_name(config):
    with pytest.raises(msgspec.ValidationError, match=next(iter(config))):
        MyPlugin(config)


def test_the_manifest_says_what_the_code_does(plugin_manifest):
    described = plugin_manifest.config_schema["properties"]
    assert {name: field["default"] for name, field in described.items()} == msgspec.structs.asdict(
        Config()
    )
