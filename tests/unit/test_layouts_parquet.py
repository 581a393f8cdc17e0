"""Parquet files of other hands go through the same checks as text."""

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from ntp import MarketData
from ntp.layouts import LayoutError, open_files
from ntp.layouts.writing import whole_file

DAY = datetime(2024, 1, 2, tzinfo=UTC)
LAST = timedelta(microseconds=-1)


def written(folder, name="x.parquet", **columns):
    file = folder / name
    parquet.write_table(pa.table(columns), file)
    return file


@pytest.mark.parametrize(
    "times",
    [
        pa.array([DAY, DAY + timedelta(minutes=1)], pa.timestamp("us", "UTC")),
        pa.array(
            [DAY.replace(tzinfo=None), DAY.replace(tzinfo=None, minute=1)], pa.timestamp("ns")
        ),
        pa.array([DAY, DAY + timedelta(minutes=1)], pa.timestamp("ms", "America/New_York")),
        pa.array([1704153600, 1704153660], pa.int64()),
        pa.array([1704153600000, 1704153660000], pa.int64()),
        pa.array([1704153600000000999, 1704153660000000999], pa.int64()),
        pa.array([1704153600.0, 1704153660.0], pa.float64()),
        pa.array(["2024-01-02T00:00:00Z", "2024-01-02T00:01:00Z"]),
        pa.array(["2024-01-02 00:00", "2024-01-02 00:01"]),
    ],
    ids=lambda times: str(times.type),
)
@pytest.mark.parametrize(
    "prices",
    [
        pa.array([1.5, 2.0]),
        pa.array([1.5, 2.0], pa.float32()),
        pa.array([Decimal("1.5"), Decimal("2.0")]),
        pa.array(["1.5", "2"]),
    ],
    ids=lambda prices: str(prices.type),
)
def test_times_and_numbers_of_any_type(tmp_path, times, prices):
    symbols = pa.array(["A", "B"]).dictionary_encode()
    file = written(tmp_path, ts=times, ticker=symbols, price=prices, size=pa.array([1, None]))
    data = open_files(file)
    assert list(data) == [
        MarketData(DAY, "A", 1.5, 1.0),
        MarketData(DAY + timedelta(minutes=1), "B", 2.0, 0.0),
    ]
    assert all(type(tick.price) is type(tick.volume) is float for tick in data)
    assert not data.bad.lines()
    assert data.done == 1.0


def test_bars_of_days(tmp_path):
    days = pa.array([date(2024, 1, 2), date(2024, 1, 3)])
    one = pa.array([1.0, 1.0])
    file = written(tmp_path, "SPY.parquet", Date=days, Open=one, High=one, Low=one, Close=one)
    first, _ = open_files(file)
    assert first.timestamp == DAY + timedelta(days=1) + LAST
    assert (first.symbol, first.metadata["bars"]) == ("SPY", "1d")


def test_bad_rows_are_named(tmp_path):
    times = [DAY + timedelta(seconds=i) for i in range(6)]
    file = written(
        tmp_path,
        timestamp=pa.array([*times[:4], None, times[5]], pa.timestamp("us", "UTC")),
        symbol=pa.array(["A", "", "A", None, "A", "A"]),
        price=pa.array([1.0, 1.0, float("nan"), 1.0, 1.0, None]),
    )
    data = open_files(file)
    assert [tick.timestamp for tick in data] == times[:1]
    assert [(row.line, row.column) for row in data.bad.first] == [
        (2, 2),
        (3, 3),
        (4, 2),
        (5, 1),
        (6, 3),
    ]
    assert "x.parquet:3:3: price was 'nan'; it must be finite; the row is left out" in str(data.bad)


def test_columns_that_are_no_market_data(tmp_path):
    with pytest.raises(
        LayoutError, match=r"no column is known to be the price.* Its columns: ts, b"
    ):
        open_files(written(tmp_path, ts=pa.array([1704153600]), b=pa.array([1])))
    with pytest.raises(LayoutError, match="say how 'ts' is written"):
        open_files(written(tmp_path, ts=pa.array([7]), price=pa.array([1.0])))
    assert (
        list(
            open_files(
                written(tmp_path, ts=pa.array([], pa.int64()), price=pa.array([], pa.float64()))
            )
        )
        == []
    )


def test_without_pyarrow_the_way_out_is_said(tmp_path, monkeypatch):
    file = written(tmp_path, ts=pa.array([1704153600]), price=pa.array([1.0]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LayoutError, match=r'fix: pip install "ntp-sdk\[parquet\]"'):
        open_files(file)
    with (
        pytest.raises(LayoutError, match="Parquet needs pyarrow"),
        whole_file(tmp_path / "y.parquet", bars=False),
    ):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["x.parquet"]
