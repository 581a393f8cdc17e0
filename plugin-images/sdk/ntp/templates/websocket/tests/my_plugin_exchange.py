"""A local exchange: plays a CSV file by the protocol that the plugin speaks, to whoever subscribes.

python tests/my_plugin_exchange.py sample_data.csv 8765
"""

import asyncio
import contextlib
import csv
import json
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from ntp import MarketData

SAMPLE = Path(__file__).parents[1] / "sample_data.csv"
PORT = 8765  # as in local.yaml


def sample() -> Iterator[MarketData]:
    """Yield the rows of the sample."""
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = (float(row[name]) for name in ("price", "volume", "bid", "ask"))
            yield MarketData(datetime.fromisoformat(row["timestamp"]), row["symbol"], *numbers)


def frame(row: MarketData, number: int) -> str:
    """Return a tick as the exchange sends it."""
    fields = ("symbol", "price", "volume", "bid", "ask")
    said = {name: getattr(row, name) for name in fields}
    return json.dumps({**said, "time": round(row.timestamp.timestamp() * 1000), "id": number})


@contextlib.asynccontextmanager
async def exchange(frames: Iterable[str], asked: list[Any], port: int = 0) -> AsyncIterator[str]:
    """Send `frames` to whoever subscribes; `asked` is told each request. Yields the address."""
    sent = list(frames)

    async def talk(socket: ServerConnection) -> None:
        async for text in socket:
            request = json.loads(text)
            asked.append(request)
            if request["op"] == "subscribe":
                for each in sent:
                    await socket.send(each)

    async with serve(talk, "127.0.0.1", port) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def main(*command: str) -> int:
    """Return the command's exit code."""
    rows = enumerate(sample())
    async with exchange((frame(row, number) for number, row in rows), [], PORT) as url:
        print(url, flush=True)
        if not command:
            await asyncio.Event().wait()
        process = await asyncio.create_subprocess_exec(*command)
        return await process.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main(*sys.argv[1:])))
