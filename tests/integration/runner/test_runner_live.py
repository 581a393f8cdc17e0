"""Sources of live markets as processes on a real broker, at an exchange on loopback."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ntp.contract.beat import Stage
from ntp.contract.names import Kind
from tests.integration.runner.conftest import written
from tests.worlds.scripted_exchange import exchange

PLUGINS = Path(__file__).parents[3] / "plugin-images"
USERS = Path(__file__).parents[2] / "fixtures" / "plugins" / "user_binance.py"
START = 1723161255342
QUICK = {"reconnect_first_seconds": 0.01, "reconnect_longest_seconds": 0.05}

LISTENER = """
    import json, os
    from ntp import IndicatorPlugin

    class Plugin(IndicatorPlugin):
        def update(self, data):
            with open(self.config["file"], "a") as notes:
                said = [data.id, data.timestamp.isoformat(), data.symbol, data.price, data.volume]
                print(json.dumps(said), file=notes)
            return data.price
"""


def trade(number, symbol="BTCUSDT"):
    return {
        "e": "trade", "E": START + number, "s": symbol, "t": number, "p": "61837.63",
        "q": "0.02", "T": START + number, "m": True, "M": True,
    }  # fmt: skip


def add(bench, name, **config):
    code = PLUGINS / name.replace("_", "-") / f"{name}.py"
    entry = {"binance_data": "BinanceData", "polygon_data": "PolygonData"}[name]
    bench.add(name, Kind.DATA_SOURCE, code, entry=entry, config={**QUICK, **config})


def condition(bench, name, word):
    beat = bench.beat(name)
    found = [each for each in beat.conditions if each.type == word] if beat else []
    return found[0] if found else None


async def test_a_source_that_cannot_reach_its_exchange_runs_and_says_so_until_it_can(bench):
    async with exchange() as server:
        url = server.url
        port = server.port
    add(bench, "binance_data", stream_url=url + "/ws", symbols=["BTCUSDT"])
    await bench.open()
    bench.start()
    await bench.ready("binance_data")
    found = await bench.until(lambda: condition(bench, "binance_data", "ConnectFailed"))
    assert (found.status, found.reason) == (True, "ConnectFailed")
    assert f"127.0.0.1:{port}" in found.message
    assert "connect failed: " in found.message
    async with exchange(port) as server:
        caller = await server.caller(0)
        assert (await caller.request())["method"] == "SUBSCRIBE"
        await caller.send(trade(1), trade(2))
        await bench.until(lambda: bench.flows("binance_data", "data", sent=True)["BTCUSDT"][0] == 2)
        await bench.until(lambda: not bench.beat("binance_data").conditions)
        assert bench.beat("binance_data").report["ticks"] == 2
        assert await bench.stop("binance_data") == 0, bench.log("binance_data")
    assert "Traceback" not in bench.log("binance_data")


async def test_a_refused_key_is_the_last_word_and_no_reason_to_try_again(bench):
    async with exchange() as server:
        config = {"stream_url": server.url, "api_key": "not-to-be-seen", "symbols": ["AAPL"]}
        add(bench, "polygon_data", **config)
        await bench.open()
        bench.start()
        caller = await server.caller(0)
        await caller.send([{"ev": "status", "status": "connected", "message": ""}])
        assert (await caller.request())["action"] == "auth"
        refusal = {"ev": "status", "status": "auth_failed", "message": "authentication failed"}
        await caller.send([refusal])
        assert await bench.ended("polygon_data") == 2
        end = bench.termination("polygon_data")
        assert (end.reason, end.permanent) == ("AuthFailed", True)
        assert end.message.startswith("Polygon refused the api_key: authentication failed; fix: ")
        assert "not-to-be-seen" not in bench.log("polygon_data")
        assert "Traceback" not in bench.log("polygon_data")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
async def test_the_users_own_source_runs_with_only_its_imports_changed(
    bench, tmp_path, monkeypatch, zone
):
    """Its address is fixed, and stands here for one on loopback; through a door it need not."""
    monkeypatch.setenv("TZ", zone)
    notes = tmp_path / "notes"
    async with exchange() as server:
        code = USERS.read_text().replace("wss://stream.binance.com:9443", server.url)
        assert server.url in code
        config = {
            "stream_url": "wss://stream.binance.com:9443/ws",
            "symbols": ["BTCUSDT", "ETHUSDT"],
        }
        bench.add("binance_data", Kind.DATA_SOURCE, code, entry="BinanceDataPlugin", config=config)
        bench.add("listener", Kind.INDICATOR, LISTENER, config={"file": str(notes)})
        await bench.open()
        bench.start("listener")
        await bench.ready("listener")
        bench.start("binance_data")
        caller = await server.caller(0)
        request = await caller.request()
        assert request == {
            "method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@trade"], "id": 1,
        }  # fmt: skip
        await bench.ready("binance_data")
        await caller.send({"result": None, "id": 1}, trade(1), trade(2), trade(7, "ETHUSDT"))
        await bench.until(lambda: notes.exists() and len(written(notes)) == 3)
        moment = datetime.fromtimestamp((START + 1) / 1000, UTC).isoformat()
        assert written(notes)[0] == ["1", moment, "BTCUSDT", 61837.63, 0.02]
        assert bench.beat("binance_data").refused == 0
        assert await bench.stop("binance_data") == 0, bench.log("binance_data")
        assert "Traceback" not in bench.log("binance_data")
        bench.start("binance_data")
        caller = await server.caller(1)
        await bench.until(lambda: bench.stage("binance_data") is Stage.READY)
        await caller.close(1001)
        assert await bench.ended("binance_data") == 1, "its life ends with its connection"
        assert bench.termination("binance_data").reason == "StreamEnded"
        assert not bench.termination("binance_data").permanent


async def test_a_source_that_says_nothing_itself_is_seen_to_run_ahead_of_the_clock(bench):
    async with exchange() as server:
        code = USERS.read_text().replace("wss://stream.binance.com:9443", server.url)
        config = {"symbols": ["BTCUSDT"]}
        bench.add("binance_data", Kind.DATA_SOURCE, code, entry="BinanceDataPlugin", config=config)
        await bench.open()
        bench.start("binance_data")
        caller = await server.caller(0)
        await caller.request()
        later = int(datetime.now(UTC).timestamp() * 1000) + 60_000
        await caller.send({"result": None, "id": 1}, {**trade(1), "T": later})
        found = await bench.until(lambda: condition(bench, "binance_data", "ClockAhead"))
        assert "ahead of this machine's clock" in found.message
        await caller.send(trade(2))
        await bench.until(lambda: not bench.beat("binance_data").conditions)
