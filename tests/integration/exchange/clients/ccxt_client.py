"""ccxt.pro as it is, pointed at HOST:PORT; says as JSON what it received."""

import asyncio
import json
import sys
import time
import urllib.request

import ccxt
import ccxt.pro

AT = sys.argv[1]


def strike(fault):
    """Command a fault."""
    request = urllib.request.Request(f"http://{AT}/fault?{fault}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


async def main():
    exchange = ccxt.pro.binance(
        {
            "urls": {
                "api": {"public": f"http://{AT}/api/v3", "ws": {"spot": f"ws://{AT}/ws"}},
            },
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False},
        }
    )
    try:
        markets = await exchange.load_markets()
        seen = {"markets": sorted(markets)}
        seen["trades"] = await exchange.watch_trades("BTC/USDT")
        book = await exchange.watch_order_book("BTC/USDT")
        for _ in range(20):
            book = await exchange.watch_order_book("BTC/USDT")
        seen["book"] = {
            "bid": book["bids"][0][0],
            "ask": book["asks"][0][0],
            "nonce": book["nonce"],
        }
        seen["best"] = next(iter((await exchange.watch_bids_asks(["ETH/USDT"])).values()))["bid"]
        seen["candle"] = (await exchange.watch_ohlcv("BTC/USDT", "1m"))[-1]
        await asyncio.to_thread(strike, "close=1006")
        try:
            for _ in range(100):
                await exchange.watch_trades("BTC/USDT")
            seen["error"] = None
        except ccxt.NetworkError as error:
            seen["error"] = type(error).__name__
        failed_ms = time.time() * 1000
        while "after" not in seen:
            latest = (await exchange.watch_trades("BTC/USDT"))[-1]
            if latest["timestamp"] > failed_ms:
                seen["after"] = latest
    finally:
        await exchange.close()
    print(json.dumps(seen, default=str))


async def limited():
    async with asyncio.timeout(40):
        await main()


asyncio.run(limited())
