"""What `ntp plugin test` is measured against, each a program of its own: `author_peers.py PEER FILE`.

The same strategy in each: Bollinger bands of 200 prices, both sides, once each time. The bare loop is what
one writes by hand: every cell from the text, the bands in O(1), each signal filled at the next row at half a
spread, slippage and a fee, equity and drawdown at each row, all in floats. It makes the signals, fills and
equity that the engine makes; it has no objects, history, checks, isolation or report. A peer prints how many
signals and fills there were, and the equity at the end.
"""

import csv
import json
import sys
from collections import deque
from datetime import datetime
from math import sqrt
from pathlib import Path

PERIOD = 200


def bare(file: Path) -> tuple[int, int, float]:
    window: deque[float] = deque()
    total = squares = quantity = order = 0.0
    cash = peak = equity = 10_000.0
    drawdown, told, signals, fills = 0.0, None, 0, 0
    with file.open(newline="") as stream:
        rows = csv.reader(stream)
        next(rows)
        for timestamp, _, price_text, volume_text, *_ in rows:
            at, price, volume = (
                datetime.fromisoformat(timestamp),
                float(price_text),
                float(volume_text),
            )
            if order:
                paid = (
                    price * (1 + 1e-4) * (1 + 1e-4)
                    if order > 0
                    else price * (1 - 1e-4) * (1 - 1e-4)
                )
                cash -= order * paid + abs(order) * paid * 0.001
                quantity, order, fills = quantity + order, 0.0, fills + 1
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
                    order = 200 / price
            elif price > mean + width and told != "SELL":
                told, signals = "SELL", signals + 1
                order = -quantity
    assert at.tzinfo is not None
    assert volume >= 0
    return signals, fills, equity


def means(file: Path) -> tuple[int, int, float]:
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
    return signals, 0, 10_000.0


def backtesting(file: Path) -> tuple[int, int, float]:
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

    test = Backtest(frame, Bands, cash=10_000_000, commission=0.001)
    result = test.run()
    test.plot(filename=str(file.with_suffix(".peer.html")), open_browser=False)
    trades = 2 * int(result["# Trades"])
    return int(result._strategy.signals), trades, float(result["Equity Final [$]"])


if __name__ == "__main__":
    peers = {"bare": bare, "means": means, "backtesting": backtesting}
    sys.stdout.write(json.dumps(peers[sys.argv[1]](Path(sys.argv[2]))))
