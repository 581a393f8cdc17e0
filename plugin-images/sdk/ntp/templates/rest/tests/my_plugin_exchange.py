"""A local exchange: answers with one row of a CSV file after the other, by the protocol that the plugin speaks.

python tests/my_plugin_exchange.py sample_data.csv 8766
"""

import contextlib
import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ntp import MarketData

SAMPLE = Path(__file__).parents[1] / "sample_data.csv"
PORT = 8766  # as in local.yaml

Answer = tuple[int, str]
"""Status and text."""


def sample() -> Iterator[MarketData]:
    """Yield the rows of the sample."""
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = (float(row[name]) for name in ("price", "volume", "bid", "ask"))
            yield MarketData(datetime.fromisoformat(row["timestamp"]), row["symbol"], *numbers)


def answer(row: MarketData) -> Answer:
    """Return a tick as the exchange answers with it."""
    fields = ("symbol", "price", "volume", "bid", "ask")
    said = {name: getattr(row, name) for name in fields}
    return 200, json.dumps({**said, "timestamp": round(row.timestamp.timestamp() * 1000)})


@contextlib.contextmanager
def exchange(answers: Iterable[Answer], asked: list[Any], port: int = 0) -> Iterator[str]:
    """Give one answer after the other, then 503; `asked` is told each question. Yields the address."""
    waiting = iter(answers)

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(parse_qs(urlsplit(self.path).query))
            status, text = next(waiting, (503, "that was all"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Answering)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/ticker"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main(*command: str) -> int:
    """Return the command's exit code."""
    rows = list(sample())
    with exchange(chain(map(answer, rows), repeat(answer(rows[-1]))), [], PORT) as url:
        print(url, flush=True)
        if not command:
            Event().wait()
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(*sys.argv[1:]))
