"""`ntp plugin test` from CSV text to the finished page, in CPU time of all its processes, against peers."""

import compileall
import importlib.util
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ntp
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


@dataclass(frozen=True)
class Measured:
    """CPU seconds of the whole command, those of the plugin's process in it, its peak, what was made."""

    whole_s: float
    own_s: float
    peak_mib: float
    signals: int
    fills: int


def _cpu_s(*command: str) -> tuple[float, bytes]:
    """Return the CPU time of a program and of its children, seconds, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, done.stdout


def _tested(plugin: Path, data: Path) -> Measured:
    report = plugin.with_suffix(".json")
    cpu, _ = _cpu_s(
        sys.executable, "-m", "ntp.cli", "plugin", "test", str(plugin), "--data", str(data),
        "--quick", "--html", str(plugin.with_suffix(".html")), "--json", str(report),
    )  # fmt: skip
    run = json.loads(report.read_text())["run"]
    # Its sandbox has process ids of its own, and what ends there is not counted outside.
    own = run["cpu_seconds"]
    return Measured(cpu + own, own, run["peak_mib"], run["signals"], run["fills"])


def _peer(name: str, data: Path) -> tuple[float, Sequence[float]]:
    cpu, output = _cpu_s(sys.executable, author_peers.__file__, name, str(data))
    return cpu, json.loads(output)


def measure() -> list[Figure]:
    """Measure each in turn, the least of three: neighbours only ever add."""
    # As pip leaves it: a sandbox writes no compiled files, and would compile the SDK at each start.
    compileall.compile_dir(Path(ntp.__file__).parent, quiet=1)
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
            loop, made = _peer("bare", data)
            bare.append(loop)
            assert (tested[-1].signals, tested[-1].fills) == tuple(made[:2])  # it does no less work
            meant.append(_tested(means, short).own_s)
            by_hand.append(_peer("means", short)[0])
        other, _ = (
            _peer("backtesting", data) if importlib.util.find_spec("backtesting") else (0.0, ())
        )
    whole = min(each.whole_s for each in tested)
    own = min(each.own_s for each in tested)
    peak = max(each.peak_mib for each in tested)
    figures = [
        Figure(
            "`ntp plugin test --quick`, 1M rows of CSV to the page",
            f"{ROWS / whole:,.0f} rows per CPU second",
            f"bare O(1) loop {ROWS / min(bare):,.0f}",
            min(bare) / whole,
            ">= 1.2x",
            f"All processes: {whole - own:.2f} s of it are start, isolation, figures and page; the plugin's own"
            f" process alone makes {ROWS / own:,.0f}. Peak of that process {peak:.0f} MiB (target: 150).",
        ),
        Figure(
            "an np.mean/np.std plugin in it, 100,000 rows",
            f"{MEAN_ROWS / min(meant):,.0f} rows per CPU second of its process",
            f"the same by hand {MEAN_ROWS / min(by_hand):,.0f}",
            min(meant) / min(by_hand),
            "<= 1.15x",
        ),
    ]
    if other:
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
