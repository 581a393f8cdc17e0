"""Round trips are those of backtesting.py, backtrader and vectorbt on the same strategy over the recorded files.

Two rules differ between the four, and the strategy keeps clear of both: at the end each of them values what is
still held in its own way, so closed trades are compared; and cuts within a position differ (backtesting.py's
are by entry), so each position is entered once and left once, or reversed.
"""

import json
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from ntp.contract.launch import Trading
from ntp.contract.messages import MarketData, Side, SignalType, TradingSignal
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.layouts import open_files
from ntp.statistics import round_trips
from tests.worlds.environment import python_with

HERE = Path(__file__).parent
SHARED = HERE.parents[3] / "shared" / "data"
FEE = 0.001

pytestmark = [
    pytest.mark.long,
    pytest.mark.network,
    pytest.mark.shared,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not SHARED.exists(), reason="the recordings of ../shared are not here"),
]


def crossing(prices, fast, slow, units, *, short):
    """Units to hold after each row: long where the fast mean is above the slow one."""
    targets, held = [], 0
    for at in range(len(prices)):
        if at >= slow:
            one = sum(prices[at - fast + 1 : at + 1]) / fast
            two = sum(prices[at - slow + 1 : at + 1]) / slow
            held = units if one > two else (-units if short else 0) if one < two else held
        targets.append(held)
    return targets


def ours(ticks, targets, capital, *, short):
    """Trips of the engine that test and live share, told by rows as the others are."""
    trading = Trading(capital=Decimal(capital), short=short)
    costs = Costs.of({"fee_rate": FEE, "slippage": 0, "half_spread": 0})
    desk = Desk("paper", "alpha", trading, costs)
    fills, rows = [], {}
    for row, tick in enumerate(ticks):
        change = desk.tick(tick)
        for fill in change.fills if change else ():
            fills.append(fill)
            rows[fill.tick_id] = row
        want, before = targets[row], targets[row - 1] if row else 0
        if want != before:
            kind = SignalType.BUY if want > before else SignalType.SELL
            wish = TradingSignal(tick.symbol, kind, 1.0, tick.price, size=abs(want) or abs(before))
            desk.signal(f"alpha:{row}", wish, tick.timestamp)
    trips = [trip for trip in round_trips(fills, {}) if not trip.open]
    return trips, fills, rows


@pytest.mark.parametrize("short", [False, True], ids=["long only", "with reversals"])
@pytest.mark.parametrize(
    ("file", "symbol", "windows", "units"),
    [
        ("equity_spy_daily_2008_2017.csv", "SPY", (10, 50), 100),
        ("crypto_btcperp_m1_202201.csv", "BTC-PERP", (30, 240), 1),
        ("fx_gbpusd_m1_201202.csv", "GBPUSD", (30, 240), 1000),
        ("fx_eurusd_ticks_20200101.csv", "EURUSD", (50, 300), 1000),
        ("binance_spot_btcusdt_ethusdt_trades_20240808.csv", "ETHUSDT", (50, 300), 2),
    ],
)
def test_round_trips_are_those_of_three_other_libraries(  # noqa: PLR0917 - parameters
    pytestconfig, tmp_path, file, symbol, windows, units, short
):
    recorded = [tick for tick in open_files(SHARED / file) if tick.symbol == symbol]
    # Their markets have one price a row: bid and ask would make our fills better informed than theirs.
    ticks = [MarketData(t.timestamp, symbol, t.price, 1.0, id=str(row)) for row, t in enumerate(recorded)]  # fmt: skip
    prices = [tick.price for tick in ticks]
    targets = crossing(prices, *windows, units, short=short)
    trips, fills, rows = ours(ticks, targets, 10_000_000, short=short)
    # A trip has two fills, of which a reversal's second is the next one's first.
    told = iter(fills)
    mine, opened = [], next(told)
    for trip in trips:
        closed = next(told)
        mine.append([
            rows[opened.tick_id], rows[closed.tick_id], float(trip.quantity) * (1 if trip.side is Side.BUY else -1),
            float(trip.entry_price), float(trip.exit_price), float(trip.fees),
        ])  # fmt: skip
        opened = closed if short else next(told, None)
    assert len(mine) >= 10

    given = tmp_path / "given.json"
    given.write_text(json.dumps({"prices": prices, "targets": targets, "cash": 10_000_000, "fee": FEE}))  # fmt: skip
    python = python_with(pytestconfig.cache.mkdir("backtesters"), HERE / "backtesters.txt")
    done = subprocess.run([python, HERE / "others.py", given], capture_output=True, text=True, timeout=600)  # fmt: skip
    assert done.returncode == 0, done.stderr

    for library, theirs in json.loads(done.stdout).items():
        assert len(theirs) == len(mine), library
        for one, other in zip(mine, sorted(theirs), strict=True):
            assert other == pytest.approx(one, rel=1e-9, abs=1e-7), library
