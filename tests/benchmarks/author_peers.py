"""What `ntp plugin test` is measured against, each a program of its own: `author_peers.py PEER FILE`.

The same strategy in each: Bollinger bands of 200 prices, both sides, once each time. The bare loop is what
one writes by hand: prices from the text, the bands in O(1), equity and fees in floats; no history, no report.
"""

import csv
import sys
from collections import deque
from datetime import datetime
from math import sqrt
from pathlib import Path

PERIOD = 200


def bare(file: Path) -> int:
    window: deque[float] = deque()
    total = squares = quantity = 0.0
    cash = peak = 10_000.0
    drawdown, told, signals = 0.0, None, 0
    with file.open(newline="") as stream:
        rows = csv.reader(stream)
        next(rows)
        for timestamp, _, price_text, volume_text, *_ in rows:
            at, price, volume = (
                datetime.fromisoformat(timestamp),
                float(price_text),
                float(volume_text),
            )
            window.append(price)
            total += price
            squares += price * price
            if len(window) > PERIOD:
                old = window.popleft()
                total -= old
                squares -= old * old
            equity = cash + quantity * price
            if equity > peak:
                peak = equity
            elif 1 - equity / peak > drawdown:
                drawdown = 1 - equity / peak
            if len(window) < PERIOD:
                continue
            mean = total / PERIOD
            width = 2.0 * sqrt(max(squares / PERIOD - mean * mean, 0.0))
            if price < mean - width and told != "BUY":
                told, signals = "BUY", signals + 1
                if not quantity:
                    quantity = 200 / price
                    cash -= 200 * 1.001
            elif price > mean + width and told != "SELL":
                told, signals = "SELL", signals + 1
                cash += quantity * price * 0.999
                quantity = 0.0
    assert at.tzinfo is not None
    assert volume >= 0
    return signals


def means(file: Path) -> int:
    """The plugin of many authors, by hand: a list, np.mean and np.std each time."""
    import numpy as np

    prices: list[float] = []
    signals = 0
    with file.open(newline="") as stream:
        rows = csv.reader(stream)
        next(rows)
        for timestamp, _, price_text, volume_text, *_ in rows:
            datetime.fromisoformat(timestamp)
            price = float(price_text)
            float(volume_text)
            prices.append(price)
            if len(prices) > 20:
                prices.pop(0)
            if len(prices) < 20:
                continue
            mean, width = np.mean(prices), 3.0 * np.std(prices)
            signals += bool(price < mean - width or price > mean + width)
    return signals


def backtesting(file: Path) -> int:
    import warnings

    import pandas as pd

    warnings.simplefilter("ignore")
    from backtesting import Backtest, Strategy

    frame = pd.read_csv(file, usecols=["timestamp", "price", "volume"], parse_dates=["timestamp"])
    for name in ("Open", "High", "Low", "Close"):
        frame[name] = frame["price"]
    frame = frame.rename(columns={"volume": "Volume"}).set_index("timestamp")

    class Bands(Strategy):
        def init(self) -> None:
            self.window: deque[float] = deque()
            self.total = self.squares = 0.0
            self.told = ""
            self.signals = 0

        def next(self) -> None:
            price = self.data.Close[-1]
            window = self.window
            window.append(price)
            self.total += price
            self.squares += price * price
            if len(window) > PERIOD:
                old = window.popleft()
                self.total -= old
                self.squares -= old * old
            if len(window) < PERIOD:
                return
            mean = self.total / PERIOD
            width = 2.0 * sqrt(max(self.squares / PERIOD - mean * mean, 0.0))
            if price < mean - width and self.told != "BUY":
                self.told, self.signals = "BUY", self.signals + 1
                if not self.position:
                    self.buy(size=0.02)
            elif price > mean + width and self.told != "SELL":
                self.told, self.signals = "SELL", self.signals + 1
                self.position.close()

    result = Backtest(frame, Bands, cash=10_000_000, commission=0.001).run()
    return int(result._strategy.signals)


if __name__ == "__main__":
    sys.stdout.write(
        str(
            {"bare": bare, "means": means, "backtesting": backtesting}[sys.argv[1]](
                Path(sys.argv[2])
            )
        )
    )
