"""polygon-api-client, or its successor massive, as it is, pointed at HOST:PORT; says as JSON what it received."""

import asyncio
import contextlib
import importlib
import json
import sys
import time
import urllib.request

AT, PACKAGE = sys.argv[1:]
WebSocketClient = importlib.import_module(PACKAGE).WebSocketClient
AuthError = importlib.import_module(f"{PACKAGE}.exceptions").AuthError
Market = importlib.import_module(f"{PACKAGE}.websocket.models").Market


def strike(fault):
    """Command a fault."""
    request = urllib.request.Request(f"http://{AT}/fault?{fault}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


class Enough(Exception):  # noqa: N818
    pass


class Seen:
    """What came before and after the connection was cut; the client reconnects by itself."""

    def __init__(self):
        self.before = {"EquityTrade": [], "EquityQuote": [], "EquityAgg": []}
        self.after = []
        self.cut_ms = None

    async def take(self, messages):
        for message in messages:
            if self.cut_ms is None:
                self.before[type(message).__name__].append(message)
            elif (getattr(message, "timestamp", None) or 0) > self.cut_ms:
                self.after.append(message)
        if len(self.after) > 3:
            raise Enough
        if self.cut_ms is None and all(len(kind) > 3 for kind in self.before.values()):
            await asyncio.to_thread(strike, "close=1006")
            # What the first connection had sent is older than this.
            self.cut_ms = time.time() * 1000 + 100


def client(key, topics):
    return WebSocketClient(key, feed=AT, market=Market.Stocks, secure=False, subscriptions=topics)


async def main():
    seen = Seen()
    wanted = client("any", ["T.AAPL", "T.GOOGL", "Q.SPY", "A.*"])
    with contextlib.suppress(Enough):
        async with asyncio.timeout(40):
            await wanted.connect(seen.take)
    await wanted.close()
    refusal = None
    try:
        await client(" ", ["T.AAPL"]).connect(seen.take)
    except AuthError as error:
        refusal = str(error)
    before = seen.before
    print(
        json.dumps(
            {
                "trades": [[item.symbol, item.price, item.size] for item in before["EquityTrade"]],
                "quotes": [
                    [item.symbol, item.bid_price, item.ask_price] for item in before["EquityQuote"]
                ],
                "seconds": [[item.symbol, item.open, item.volume] for item in before["EquityAgg"]],
                "after": len(seen.after),
                "bad key": refusal,
            }
        )
    )


asyncio.run(main())
