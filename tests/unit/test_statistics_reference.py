"""Every ratio equals that of an independent library to 1e-9: empyrical, and pandas for moments."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ntp.layouts import open_files
from ntp.statistics import returns as ours
from ntp.statistics.closes import DAY, Closes
from ntp.statistics.drawdown import Falls

SHARED = Path(__file__).parents[3] / "shared" / "data"
# What these libraries warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")
CLOSE = {"rel": 1e-9, "abs": 1e-12}


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("empyrical")


def same(ours_is, theirs_is):
    """Whether both say the same: a number, or that there is none."""
    try:
        value = ours_is()
    except ours.UndefinedError:
        return not math.isfinite(theirs_is)
    return value == pytest.approx(theirs_is, **CLOSE)


def agree(theirs, found, per_year, rate):
    """Compare every figure of these returns."""
    array = np.array(found)
    told = {"annualization": per_year}
    assert same(lambda: ours.volatility(found, per_year), theirs.annual_volatility(array, **told))
    assert same(
        lambda: ours.sharpe(found, per_year, rate), theirs.sharpe_ratio(array, rate, **told)
    )
    assert same(
        lambda: ours.downside(found, per_year, rate), theirs.downside_risk(array, rate, **told)
    )
    assert same(
        lambda: ours.sortino(found, per_year, rate), theirs.sortino_ratio(array, rate, **told)
    )
    last = math.prod(1 + each for each in found)
    cagr = theirs.cagr(array, **told)
    assert same(lambda: ours.growth(1.0, last, len(found), per_year), cagr)
    depth = -theirs.max_drawdown(array)
    assert fallen(found) == pytest.approx(depth, **CLOSE)
    assert same(lambda: ours.calmar(cagr, fallen(found)), theirs.calmar_ratio(array, **told))


def fallen(found):
    """The deepest fall of equity that had these returns."""
    from datetime import UTC, datetime, timedelta

    at, equity = datetime(2020, 1, 1, tzinfo=UTC), 1.0
    falls = Falls(at, equity)
    for each in found:
        before, at, equity = at, at + timedelta(days=1), equity * (1 + each)
        falls.note(at, equity, before)
    deepest = falls.deepest(at)
    return deepest.depth if deepest else 0.0


RETURNS = st.lists(
    st.floats(-0.5, 0.5).map(lambda value: round(value, 6)), min_size=2, max_size=120
)


@given(RETURNS, st.sampled_from([12, 52, 252, 365, 8760]), st.sampled_from([0.0, 0.0001]))
def test_ratios_of_made_up_returns_are_empyricals(theirs, found, per_year, rate):
    assume(len({round(each, 6) for each in found}) > 1)
    # Growth of hundreds of periods a year from a few is no figure that anybody would read.
    assume(abs(math.fsum(map(math.log1p, found))) * per_year / len(found) < 300)
    agree(theirs, found, per_year, rate)


@given(RETURNS)
def test_moments_are_those_of_pandas(found):
    pandas = pytest.importorskip("pandas")
    assume(np.std(found) > 1e-3)
    series = pandas.Series(found)
    if len(found) > 2:
        assert ours.skewness(found) == pytest.approx(series.skew(), rel=1e-9, abs=1e-9)
    if len(found) > 3:
        assert ours.kurtosis(found) == pytest.approx(series.kurt(), rel=1e-9, abs=1e-9)


@given(RETURNS, st.integers(2, 30))
def test_a_rolling_ratio_is_empyricals_of_each_window(theirs, found, window):
    assume(len(found) >= window)
    rolled = ours.rolling_sharpe(found, 252, window)

    assert len(rolled) == len(found) - window + 1
    for end, value in enumerate(rolled, start=window):
        part = found[end - window : end]
        if value is None:
            assert len(set(part)) == 1
        else:
            assert value == pytest.approx(theirs.sharpe_ratio(np.array(part), annualization=252), **CLOSE)  # fmt: skip


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="the recordings of ../shared are not here")
@pytest.mark.parametrize(
    ("file", "periods", "per_year"),
    [
        ("equity_spy_daily_2008_2017.csv", 2519, 252),
        ("crypto_btcperp_m1_202201.csv", 33, 365),
        ("fx_gbpusd_m1_201202.csv", 26, 252),
        ("fx_eurusd_ticks_20200101.csv", 361, 365 * 24 * 60),
        ("binance_spot_btcusdt_ethusdt_trades_20240808.csv", 347, 365 * DAY),
    ],
)
def test_ratios_of_the_recorded_files_are_empyricals(theirs, file, periods, per_year):
    closes, first, symbol = Closes(), 0.0, ""
    for tick in open_files(SHARED / file):
        symbol = symbol or tick.symbol
        if tick.symbol == symbol:
            first = first or tick.price
            closes.close(tick.timestamp.timestamp(), tick.price)
    series = closes.series(first)
    assert (len(series.values), series.period.per_year) == (periods, per_year)

    agree(theirs, ours.simple(first, series.values), per_year, 0.0)
