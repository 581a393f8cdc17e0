"""Make the two files that ship, from the recordings that they are taken from.

`python -m ntp.exchange.shipped FRAMES.txt.gz SPY.csv FOLDER`; the same input makes the same bytes.
"""

import csv
import gzip
import sys
from collections.abc import Iterable
from pathlib import Path

from ntp.exchange import recording, synthetic

SECONDS = 50


def excerpt(lines: Iterable[bytes]) -> bytes:
    """The first 50 s, unchanged: both book snapshots, and the busiest second of the recording."""
    kept: list[bytes] = []
    first_ns: int | None = None
    for line in lines:
        at_ns = int(line.partition(b" ")[0])
        first_ns = at_ns if first_ns is None else first_ns
        if at_ns - first_ns >= SECONDS * 1_000_000_000:
            break
        kept.append(line)
    return b"".join(kept)


def main(frames: Path, closes: Path, folder: Path) -> None:
    """Write both files into `folder`."""
    with gzip.open(frames, "rb") as lines:
        _write(folder / recording.SHIPPED.name, excerpt(lines))
    with closes.open(newline="") as file:
        prices = [float(row["price"]) for row in csv.DictReader(file)]
    _write(folder / synthetic.SHIPPED.name, synthetic.derive(prices).encode())


def _write(path: Path, content: bytes) -> None:
    # No time stamp: equal content, equal bytes.
    path.write_bytes(gzip.compress(content, 9, mtime=0))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
