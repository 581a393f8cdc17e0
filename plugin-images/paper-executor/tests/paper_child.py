"""Execute the whole world of a seed from its beginning, and say a byte for each event that is done.

Usage: python paper_child.py STORAGE SEED. Whoever started this kills it at any moment.
"""

import asyncio
import os
import sys
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here), str(here.parent)]

from paper_world import apply, events, opened  # noqa: E402 - after the folders are known


async def main(storage: Path, seed: int) -> None:
    executor = await opened(storage)
    for event in events(seed):
        await apply(executor, event)
        os.write(1, b".")
    await executor.shutdown()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
