"""A program that sends to itself through an echo, over bare sockets: what the way there and back takes.

    python -m tests.benchmarks.pingpong ADDRESS CREDENTIALS RATE COUNT
    python -m tests.benchmarks.pingpong ADDRESS CREDENTIALS echo

The first prints its round trips, microseconds, as JSON.
"""

import json
import sys
import time
from collections import deque
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
    """Send at a steady rate, whatever has come back: as ticks do, which do not wait for each other.

    Who waits for an answer before he sends again does not see what would have been sent meanwhile, so a
    stall of ten sendings counts as one late answer.
    """
    trips: list[float] = []
    under_way: deque[float] = deque()
    payload = b"x" * 150
    began = time.perf_counter()
    for number in range(count + 1):
        due = began + number / rate if number < count else float("inf")
        while under_way and (left := due - time.perf_counter()) > 0:
            if line.arrived(min(left, 1.0)):
                line.next()
                trips.append((time.perf_counter() - under_way.popleft()) * 1e6)
        if number < count:
            time.sleep(max(0.0, due - time.perf_counter()))
            under_way.append(time.perf_counter())
            line.send(frame(THERE, payload))
    return trips


if __name__ == "__main__":
    main()
