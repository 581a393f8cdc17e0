"""Clients that other people wrote, unmodified, each in its own environment, against the exchange."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.worlds.environment import python_with

CLIENTS = Path(__file__).parent / "clients"
pytestmark = [pytest.mark.network, pytest.mark.timeout(400)]


@pytest.fixture
def meet(pytestconfig, start):
    """Let a client's script meet a fresh exchange; return what the client received."""
    cache = pytestconfig.cache.mkdir("exchange-clients")

    def run(name: str, script: str, *words: str) -> dict:
        python = python_with(cache, CLIENTS / f"{name}.txt")
        running = start("--loop", "--speed", "2")
        with subprocess.Popen(
            [python, CLIENTS / script, running.at, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
        ) as process:
            try:
                out, err = process.communicate(timeout=60)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        assert process.returncode == 0, err
        return json.loads(out)

    return run


def test_python_binance(meet):
    seen = meet("python-binance", "python_binance_client.py")
    assert seen["base"] == "BTC"
    assert seen["book"] == 20
    numbers = [trade["t"] for trade in seen["trades"]]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert seen["after"]["t"] > numbers[-1]
    assert set(seen["streams"]["btcusdt@bookTicker"]) == {"u", "s", "b", "B", "a", "A"}
    assert seen["streams"]["ethusdt@depth@100ms"]["e"] == "depthUpdate"
    assert seen["streams"]["btcusdt@kline_1m"]["k"]["i"] == "1m"


@pytest.mark.long
def test_ccxt_pro(meet):
    seen = meet("ccxt", "ccxt_client.py")
    assert seen["markets"] == ["BTC/USDT", "ETH/USDT"]
    assert {trade["symbol"] for trade in seen["trades"]} == {"BTC/USDT"}
    # ccxt keeps the book itself, from the REST snapshot and the diffs, and raises at a gap.
    assert seen["book"]["bid"] < seen["book"]["ask"]
    assert 2_600 < seen["best"] < 2_800
    assert len(seen["candle"]) == 6
    assert seen["error"] == "NetworkError"
    assert seen["after"]["symbol"] == "BTC/USDT"


def consecutive(trades: list[dict]) -> bool:
    """Whether no trade of BTCUSDT is missing among them."""
    numbers = [trade["t"] for trade in trades if trade["s"] == "BTCUSDT"]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.long
def test_binance_connector(meet):
    seen = meet("binance-connector", "binance_connector_client.py")
    assert consecutive(seen["trades"])
    assert set(seen["quote"]) == {"u", "s", "b", "B", "a", "A"}
    assert seen["answers"] == [
        {"result": None, "id": 1},
        {"result": None, "id": "two"},
        {"result": ["btcusdt@trade", "ethusdt@bookTicker"], "id": 3},
    ]
    assert seen["end"] == "close"


@pytest.mark.long
def test_binance_sdk_spot(meet):
    seen = meet("binance-sdk-spot", "binance_sdk_spot_client.py")
    assert consecutive(seen["trades"])
    assert seen["quote"]["s"] == "ETHUSDT"
    assert seen["listed"]["result"] == ["btcusdt@trade", "ethusdt@bookTicker"]


@pytest.mark.long
def test_unicorn_binance_websocket_api(meet):
    seen = meet("unicorn-binance-websocket-api", "unicorn_client.py")
    assert seen["streams"] == ["btcusdt@trade", "ethusdt@trade"]
    assert consecutive(seen["trades"])
    assert seen["after"]["T"] > seen["trades"][-1]["T"]


@pytest.mark.parametrize(
    ("name", "package"),
    [("polygon-api-client", "polygon"), pytest.param("massive", "massive", marks=pytest.mark.long)],
)
def test_polygon_clients(meet, name, package):
    seen = meet(name, "polygon_client.py", package)
    assert {symbol for symbol, *_ in seen["trades"]} == {"AAPL", "GOOGL"}
    assert {symbol for symbol, *_ in seen["quotes"]} == {"SPY"}
    assert all(bid < ask for _, bid, ask in seen["quotes"])
    assert {symbol for symbol, *_ in seen["seconds"]} == {"AAPL", "GOOGL", "MSFT", "SPY"}
    assert seen["after"] > 3
    assert seen["bad key"] == "authentication failed"
