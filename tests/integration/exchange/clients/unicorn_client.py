"""unicorn-binance-websocket-api as it is, pointed at HOST:PORT; says as JSON what it received."""

import json
import queue
import sys
import time
import urllib.request

from unicorn_binance_websocket_api import BinanceWebSocketApiManager

AT = sys.argv[1]


def strike(fault):
    """Command a fault."""
    request = urllib.request.Request(f"http://{AT}/fault?{fault}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


def main():
    manager = BinanceWebSocketApiManager(
        exchange="binance.com",
        websocket_base_uri=f"ws://{AT}/",
        output_default="dict",
        warn_on_update=False,
        disable_colorama=True,
    )
    arrived = queue.Queue()
    manager.create_stream(["trade"], ["btcusdt", "ethusdt"], process_stream_data=arrived.put)
    deadline = time.monotonic() + 40
    seen = {"trades": [], "streams": set()}
    while len(seen["trades"]) < 5 or len(seen["streams"]) < 2:
        message = arrived.get(timeout=deadline - time.monotonic())
        if "stream" in message:
            seen["streams"].add(message["stream"])
            seen["trades"].append(message["data"])
    strike("close=1006")
    cut_ms = time.time() * 1000 + 100
    while "after" not in seen:
        message = arrived.get(timeout=deadline - time.monotonic())
        if message.get("data", {}).get("E", 0) > cut_ms:
            seen["after"] = message["data"]
    manager.stop_manager()
    seen["streams"] = sorted(seen["streams"])
    print(json.dumps(seen))


main()
