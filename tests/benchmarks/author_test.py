"""`ntp plugin test` from CSV text to the finished page, in CPU time of all its processes, against peers."""

import importlib.util
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.benchmarks import author_peers
from tests.benchmarks.figure import Figure

ROWS, MEAN_ROWS = 1_000_000, 100_000
TIMES = 3
BANDS = """
from collections import deque
from math import sqrt
from ntp import SignalType, StrategyPlugin, TradingSignal

class Bands(StrategyPlugin):
    def __init__(self, config):
        super().__init__(config)
        self.window, self.total, self.squares, self.told = deque(), 0.0, 0.0, None

    def analyze(self, data, history):
        price, window = data.price, self.window
        window.append(price)
        self.total += price
        self.squares += price * price
        if len(window) > 200:
            old = window.popleft()
            self.total -= old
            self.squares -= old * old
        if len(window) < 200:
            return None
        mean = self.total / 200
        width = 2.0 * sqrt(max(self.squares / 200 - mean * mean, 0.0))
        if price < mean - width and self.told is not SignalType.BUY:
            self.told = SignalType.BUY
        elif price > mean + width and self.told is not SignalType.SELL:
            self.told = SignalType.SELL
        else:
            return None
        return TradingSignal(data.symbol, self.told, 1.0, price)
"""
MEANS = """
import numpy as np
from ntp import SignalType, StrategyPlugin, TradingSignal

class Means(StrategyPlugin):
    def __init__(self, config):
        super().__init__(config)
        self.prices = []

    def analyze(self, data, history):
        self.prices.append(data.price)
        if len(self.prices) > 20:
            self.prices.pop(0)
        if len(self.prices) < 20:
            return None
        mean, width = np.mean(self.prices), 3.0 * np.std(self.prices)
        if data.price < mean - width or data.price > mean + width:
            return TradingSignal(data.symbol, SignalType.HOLD, 1.0, data.price)
        return None
"""


def _write(file: Path, rows: int) -> None:
    chance, at, price = random.Random(1), datetime(2024, 1, 1, tzinfo=UTC), 50_000.0
    with file.open("w") as out:
        out.write("timestamp,symbol,price,volume,bid,ask\n")
        for _ in range(rows):
            price = price * (1 + chance.gauss(0, 2e-4)) * 0.9999 + 5.0
            at += timedelta(milliseconds=chance.randint(100, 1900))
            stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            out.write(f"{stamp},BTCUSDT,{price:.2f},{chance.random():.4f},,\n")


def _cpu_s(*command: str) -> float:
    """Return the CPU time of a program and of its children, seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _tested(plugin: Path, data: Path) -> tuple[float, float, float]:
    """Return CPU seconds of the whole command, those of the plugin's process in it, and its peak in MiB."""
    report = plugin.with_suffix(".json")
    cpu = _cpu_s(
        sys.executable, "-m", "ntp.cli", "plugin", "test", str(plugin), "--data", str(data),
        "--quick", "--html", str(plugin.with_suffix(".html")), "--json", str(report),
    )  # fmt: skip
    run = json.loads(report.read_text())["run"]
    # Its sandbox has process ids of its own, and what ends there is not counted outside.
    return cpu + run["cpu_seconds"], run["cpu_seconds"], run["peak_mib"]


def _peer(name: str, data: Path) -> float:
    return _cpu_s(sys.executable, author_peers.__file__, name, str(data))


def measure() -> list[Figure]:
    """Measure each in turn, the least of three: neighbours only ever add."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, short = folder / "rows.csv", folder / "short.csv"
        _write(data, ROWS)
        _write(short, MEAN_ROWS)
        bands, means = folder / "bands.py", folder / "means.py"
        bands.write_text(BANDS)
        means.write_text(MEANS)
        tested, bare, meant, by_hand = [], [], [], []
        for _ in range(TIMES):
            tested.append(_tested(bands, data))
            bare.append(_peer("bare", data))
            meant.append(_tested(means, short))
            by_hand.append(_peer("means", short))
        other = _peer("backtesting", data) if importlib.util.find_spec("backtesting") else None
    whole, own, _ = min(tested)
    peak = max(run[2] for run in tested)
    loop = min(each[1] for each in tested)
    figures = [
        Figure(
            "`ntp plugin test --quick`, 1M rows of CSV to the page",
            f"{ROWS / whole:,.0f} rows per CPU second",
            f"bare O(1) loop {ROWS / min(bare):,.0f}",
            min(bare) / whole,
            ">= 1.2x",
            f"All processes: {whole - own:.2f} s of it are start, isolation, figures and page; the plugin's own"
            f" process alone makes {ROWS / loop:,.0f}. Peak of that process {peak:.0f} MiB (target: 150).",
        ),
        Figure(
            "an np.mean/np.std plugin in it, 100,000 rows",
            f"{MEAN_ROWS / min(each[1] for each in meant):,.0f} rows per CPU second of its process",
            f"the same by hand {MEAN_ROWS / min(by_hand):,.0f}",
            min(each[1] for each in meant) / min(by_hand),
            "<= 1.15x",
        ),
    ]
    if other is not None:
        figures.insert(
            1,
            Figure(
                "the same against backtesting.py",
                f"{ROWS / whole:,.0f} rows per CPU second",
                f"backtesting.py {ROWS / other:,.0f}",
                other / whole,
                ">= 12x",
            ),
        )
    return figures
