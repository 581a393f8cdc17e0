"""python-binance as it is, pointed at HOST:PORT; says as JSON what it received."""

import asyncio
import contextlib
import json
import sys
import time
import urllib.request

from binance import AsyncClient, BinanceSocketManager

AT = sys.argv[1]
BinanceSocketManager.STREAM_URL = f"ws://{AT}/"
AsyncClient.API_URL = f"http://{AT}/api"


def strike(fault):
    """Command a fault."""
    request = urllib.request.Request(f"http://{AT}/fault?{fault}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


async def main():
    client = await AsyncClient.create()
    manager = BinanceSocketManager(client)
    seen = {"time": (await client.get_server_time())["serverTime"]}
    seen["book"] = len((await client.get_order_book(symbol="ETHUSDT", limit=20))["bids"])
    info = await client.get_symbol_info("BTCUSDT")
    seen["base"] = info["baseAsset"]
    async with manager.trade_socket("BTCUSDT") as trades:
        seen["trades"] = [await trades.recv() for _ in range(5)]
        await asyncio.to_thread(strike, "close=1008")
        # What the first connection had queued is older than this.
        closed_ms = time.time() * 1000 + 100
        seen["errors"] = 0
        async with asyncio.timeout(20):
            while "after" not in seen:
                message = await trades.recv()
                if message.get("e") == "error":
                    seen["errors"] += 1
                elif message["E"] > closed_ms:
                    seen["after"] = message
    names = ["btcusdt@bookTicker", "ethusdt@depth@100ms", "btcusdt@kline_1m"]
    async with manager.multiplex_socket(names) as streams:
        got = {}
        async with asyncio.timeout(20):
            while set(got) != set(names):
                message = await streams.recv()
                got[message["stream"]] = message["data"]
        seen["streams"] = got
    await client.close_connection()
    print(json.dumps(seen))


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
