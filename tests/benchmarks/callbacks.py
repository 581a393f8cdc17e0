"""A program that takes messages by a callback of nats-py, and does nothing with them: the peer's limit.

    python -m tests.benchmarks.callbacks ADDRESS CREDENTIALS SUBJECT COUNTER COUNT

Prints the CPU time from the first message to the last, seconds.
"""

import asyncio
import sys
import time
from pathlib import Path

import nats

from tests.benchmarks.rig import Counter


async def main() -> None:
    address, credentials, subject, file, wanted = sys.argv[1:]
    counter = Counter(Path(file))
    count = first = 0
    cpu = 0.0
    done = asyncio.Event()

    async def take(_: object) -> None:
        nonlocal count, first, cpu
        if not count:
            first, cpu = time.monotonic_ns(), time.process_time()
        count += 1
        if not count & 63:
            counter.write(count, first, time.monotonic_ns())
        if count == int(wanted):
            counter.write(count, first, time.monotonic_ns())
            cpu = time.process_time() - cpu
            done.set()

    client = await nats.connect(f"nats://{address}", user_credentials=credentials)
    await client.subscribe(subject, cb=take)
    await client.flush()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await done.wait()
    await client.close()
    sys.stdout.write(str(cpu))


if __name__ == "__main__":
    asyncio.run(main())
