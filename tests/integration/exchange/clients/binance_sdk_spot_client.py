"""binance-sdk-spot as it is, pointed at HOST:PORT; says as JSON what it received."""

import asyncio
import json
import sys
import urllib.request

from binance_common.configuration import ConfigurationWebSocketStreams
from binance_sdk_spot.spot import Spot

AT = sys.argv[1]


def strike(fault):
    """Command a fault."""
    request = urllib.request.Request(f"http://{AT}/fault?{fault}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


async def main():
    settings = ConfigurationWebSocketStreams(stream_url=f"ws://{AT}/stream")
    client = Spot(config_ws_streams=settings)
    connection = await client.websocket_streams.create_connection()
    trades, quotes = asyncio.Queue(), asyncio.Queue()
    stream = await connection.trade(symbol="btcusdt")
    stream.on("message", trades.put_nowait)
    quote = await connection.book_ticker(symbol="ethusdt")
    quote.on("message", quotes.put_nowait)
    seen = {"trades": [(await trades.get()).to_dict() for _ in range(5)]}
    seen["quote"] = (await quotes.get()).to_dict()
    seen["listed"] = await connection.list_subscribe()
    ended = asyncio.Event()
    connection.on_connection("close", ended.set)
    await asyncio.to_thread(strike, "close=1006")
    await ended.wait()  # it does not come back by itself
    await connection.close_connection()
    print(json.dumps(seen, default=str))


async def limited():
    async with asyncio.timeout(40):
        await main()


asyncio.run(limited())
