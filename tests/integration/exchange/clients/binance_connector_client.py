"""binance-connector as it is, pointed at HOST:PORT; says as JSON what it received."""

import json
import queue
import sys
import time
import urllib.request

from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

AT = sys.argv[1]


def strike(fault):
    """Command a fault."""
    request = urllib.request.Request(f"http://{AT}/fault?{fault}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


def main():
    messages, ends = queue.Queue(), queue.Queue()
    client = SpotWebsocketStreamClient(
        stream_url=f"ws://{AT}",
        on_message=lambda _, text: messages.put(json.loads(text)),
        on_close=lambda *_: ends.put("close"),
        on_error=lambda _, error: ends.put(type(error).__name__),
    )
    seen = {"trades": [], "answers": []}
    client.trade(symbol="BTCUSDT", id=1)
    client.book_ticker(symbol="ETHUSDT", id="two")
    client.list_subscribe(id=3)
    deadline = time.monotonic() + 20
    while len(seen["trades"]) < 5 or "quote" not in seen or len(seen["answers"]) < 3:
        message = messages.get(timeout=deadline - time.monotonic())
        if "id" in message:
            seen["answers"].append(message)
        elif message.get("e") == "trade":
            seen["trades"].append(message)
        else:
            seen["quote"] = message
    strike("close=1008")
    seen["end"] = ends.get(timeout=20)
    client.stop()
    print(json.dumps(seen))


main()
