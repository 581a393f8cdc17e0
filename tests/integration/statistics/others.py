"""Trade the same targets in three libraries; run by the tests, in an environment of its own.

`others.py FILE`: FILE has JSON with `prices`, `targets` (of each row: units to hold from the next row on),
`cash` and `fee`. Prints JSON: by library a list of closed trades, each [entry row, exit row, units, entry price,
exit price, commission].
"""

import datetime as dt
import json
import sys
import warnings
from pathlib import Path

import backtesting
import backtrader
import numpy as np
import pandas as pd
import vectorbt

warnings.simplefilter("ignore")


def with_backtesting(prices, targets, cash, fee):
    index = pd.date_range("2020-01-01", periods=len(prices), freq="min")
    data = pd.DataFrame(dict.fromkeys(("Open", "High", "Low", "Close"), prices), index=index)

    class Follow(backtesting.Strategy):
        def init(self):
            pass

        def next(self):
            at = len(self.data) - 1
            want = targets[at]
            if want != targets[at - 1]:
                if self.position:
                    self.position.close()
                if want:
                    (self.buy if want > 0 else self.sell)(size=abs(want))

    # A row ahead of the first: `next` is called from the second row on.
    bench = backtesting.Backtest(data, Follow, cash=cash, commission=fee, finalize_trades=False)
    trades = bench.run()._trades
    return [
        [int(t.EntryBar), int(t.ExitBar), int(t.Size), t.EntryPrice, t.ExitPrice, t.Commission]
        for t in trades.itertuples()
    ]


class Rows(backtrader.feeds.DataBase):
    """A feed of rows a minute apart."""

    params = (("prices", ()),)

    def start(self):
        super().start()
        self.at = 0

    def _load(self):
        if self.at >= len(self.p.prices):
            return False
        price = self.p.prices[self.at]
        when = dt.datetime(2020, 1, 1) + dt.timedelta(minutes=self.at)  # noqa: DTZ001 - its way
        self.lines.datetime[0] = backtrader.date2num(when)
        for line in (self.lines.open, self.lines.high, self.lines.low, self.lines.close):
            line[0] = price
        self.lines.volume[0] = self.lines.openinterest[0] = 0.0
        self.at += 1
        return True


def with_backtrader(prices, targets, cash, fee):
    closed = []

    class Follow(backtrader.Strategy):
        def notify_trade(self, trade):
            if trade.isclosed:
                first, last = trade.history  # it was entered once and left once
                bars = [trade.baropen - 1, trade.barclose - 1]
                prices = [first.event.price, last.event.price]
                closed.append([*bars, first.event.size, *prices, trade.commission])

        def next(self):
            at = len(self) - 1
            want = targets[at]
            if at and want != targets[at - 1]:
                self.order_target_size(target=want)

    brain = backtrader.Cerebro(stdstats=False, tradehistory=True)
    brain.adddata(Rows(prices=prices))
    brain.addstrategy(Follow)
    brain.broker.setcash(cash)
    brain.broker.setcommission(fee)
    brain.run(runonce=False)
    return closed


def with_vectorbt(prices, targets, cash, fee):
    changed = [np.nan] * len(prices)
    for at in range(1, len(prices) - 1):
        if targets[at] != targets[at - 1]:
            changed[at + 1] = float(targets[at])
    book = vectorbt.Portfolio.from_orders(
        pd.Series(prices, dtype=float), size=pd.Series(changed), size_type="targetamount",
        fees=fee, init_cash=cash, direction="both", freq="1min",
    )  # fmt: skip
    found = book.positions.records
    return [
        [int(p.entry_idx), int(p.exit_idx), float(p.size) * (1 if p.direction == 0 else -1),
         float(p.entry_price), float(p.exit_price), float(p.entry_fees + p.exit_fees)]
        for p in found.itertuples()
        if p.status == 1
    ]  # fmt: skip


def main(file):
    given = json.loads(Path(file).read_text(encoding="utf-8"))
    rest = (given["prices"], given["targets"], given["cash"], given["fee"])
    found = {
        "backtesting.py": with_backtesting(*rest),
        "backtrader": with_backtrader(*rest),
        "vectorbt": with_vectorbt(*rest),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
