"""A program that sends to itself through an echo, over bare sockets: what the way there and back takes.

    python -m tests.benchmarks.pingpong ADDRESS CREDENTIALS RATE COUNT
    python -m tests.benchmarks.pingpong ADDRESS CREDENTIALS echo

The first prints its round trips, microseconds, as JSON.
"""

import json
import sys
import time
from pathlib import Path

from tests.benchmarks.wire import Wire, frame

THERE, BACK = "bench.there", "bench.back"


def main() -> None:
    address, credentials, *words = sys.argv[1:]
    with Wire(address, Path(credentials)) as line:
        if words == ["echo"]:
            line.subscribe(THERE)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            while True:
                line.send(frame(BACK, line.next()))
        rate, count = map(int, words)
        line.subscribe(BACK)
        sys.stdout.write(json.dumps(_trips(line, rate, count)))


def _trips(line: Wire, rate: int, count: int) -> list[float]:
    trips, payload = [], b"x" * 150
    began = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        sent = time.perf_counter()
        line.send(frame(THERE, payload))
        line.next()
        trips.append((time.perf_counter() - sent) * 1e6)
    return trips


if __name__ == "__main__":
    main()
