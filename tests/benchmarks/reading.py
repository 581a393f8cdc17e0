"""A million rows of text to ticks, against csv.reader and an O(1) loop over the same text."""

import csv
import gc
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ntp.layouts import open_files
from tests.benchmarks.figure import Figure, least_cpu_s

ROWS = 1_000_000
_BEGINS = datetime(2024, 8, 8, tzinfo=UTC)
_EPOCH_MS = 1_723_075_200_000
_PEAK = """
import sys
from tests.benchmarks.reading import read, peak_mib
print(read(sys.argv[1]), peak_mib())
"""


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        files = [(name, _written(Path(folder), *what)) for name, what in _layouts().items()]
        loop = _cost(lambda: bare(files[0][1]))
        figures = []
        for at, (name, file) in enumerate(files):
            cost = _cost(lambda file=file: read(file))  # type: ignore[misc]
            command = [sys.executable, "-c", _PEAK, str(file)]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            count, peak = map(int, told.split())
            assert count == ROWS
            figures.append(
                Figure(
                    what=f"a row of text to a tick: {name}",
                    value=f"{cost:,.0f} ns, {peak} MiB at the most",
                    peer=f"csv.reader and an O(1) loop {loop:,.0f} ns" if at == 0 else "",
                    ratio=cost / loop if at == 0 else None,
                )
            )
    return figures


def read(file: str | Path) -> int:
    """Read a file, keep nothing, return how many ticks there were."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)  # as PluginTester does
    try:
        return sum(map(len, open_files(file).blocks()))
    finally:
        gc.set_threshold(*before)


def bare(file: Path) -> float:
    """Do the least that an event-by-event loop does: a time, a price, a running mean and variance."""
    mean = squares = 0.0
    with file.open(newline="") as text:
        rows = csv.reader(text)
        next(rows)
        for count, row in enumerate(rows, 1):
            datetime.fromisoformat(row[0])
            off = (price := float(row[2])) - mean
            mean += off / count
            squares += off * (price - mean)
    return squares


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _cost(run: Callable[[], object]) -> float:
    return least_cpu_s(run, times=3) / ROWS * 1e9


def _layouts() -> dict[str, tuple[str, str, Callable[[int, float], str]]]:
    """Return, by what it is called, a file's name, header, and row of a number and a price."""

    def ours(row: int, price: float) -> str:
        at = (_BEGINS + timedelta(milliseconds=97 * row)).isoformat(timespec="milliseconds")
        symbol = "ETHUSDT" if row % 3 else "BTCUSDT"
        return f"{at[:-6]}Z,{symbol},{price:.2f},0.{row % 9973:05},{price - 0.01:.2f},{price + 0.01:.2f}\n"

    def trades(row: int, price: float) -> str:
        return f"{row},{price:.2f},0.{row % 9973:05},610.05,{_EPOCH_MS + 97 * row},True,True\n"

    def bars(row: int, price: float) -> str:
        at = _BEGINS.replace(tzinfo=None) + timedelta(minutes=row)
        return f"{at},{price:.2f},{price + 9:.2f},{price - 9:.2f},{price + 1:.2f},{row % 997}\n"

    return {
        "timestamp,symbol,price,volume,bid,ask": ("x.csv", "timestamp,symbol,price,volume,bid,ask\n", ours),
        "Binance trades": ("BTCUSDT-trades.csv", "", trades),
        "OHLCV bars": ("SPY.csv", "Date,Open,High,Low,Close,Volume\n", bars),
    }  # fmt: skip


def _written(folder: Path, name: str, header: str, line: Callable[[int, float], str]) -> Path:
    chance, price, file = random.Random(1), 61_000.0, folder / name
    with file.open("w") as text:
        text.write(header)
        for row in range(ROWS):
            price *= 1 + chance.gauss(0, 1e-5)
            text.write(line(row, price))
    return file
