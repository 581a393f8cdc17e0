"""Layouts that people have: found by header or shape, said in words, read as what they mean."""

import gzip
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ntp import MarketData
from ntp.layouts import LayoutError, open_files
from ntp.layouts import __all__ as offered

SHARED = Path(__file__).parents[3] / "shared" / "data"
DAY = datetime(2024, 1, 2, tzinfo=UTC)
LAST = timedelta(microseconds=-1)
MS, US, NS = 1704153600000, 1704153600000000, 1704153600000000000
BAR = {"open": 1.0, "high": 3.0, "low": 0.5}


def m(n):
    return timedelta(minutes=n)


# name, text of two rows, kind, symbol, times, price, volume, bid, metadata of the first, id
CASES = [
    (
        "x.csv", "timestamp,symbol,price,volume,bid,ask\n2024-01-02T00:00:00.000Z,BTC,1.5,2,1.4,1.6\n2024-01-02T00:01:00Z,BTC,1.5,2,,\n",
        "ntp recording", "BTC", (DAY, DAY + m(1)), 1.5, 2.0, 1.4, {}, "",
    ),
    (
        "SPY.csv", "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,1,3,0.5,2,1.9,10\n2024-01-03,1,3,0.5,2,1.9,10\n",
        "Yahoo bars", "SPY", (DAY + m(1440) + LAST, DAY + m(2880) + LAST), 2.0, 10.0, None, {**BAR, "bars": "1d"}, "",
    ),
    (
        "prices.csv", "Price,Close,High,Low,Open,Volume\nTicker,SPY,SPY,SPY,SPY,SPY\nDate,,,,,\n2024-01-02,2,3,0.5,1,10\n2024-01-03,2,3,0.5,1,10\n",
        "OHLCV bars", "SPY", (DAY + m(1440) + LAST, DAY + m(2880) + LAST), 2.0, 10.0, None, {**BAR, "bars": "1d"}, "",
    ),
    (
        "BINANCE_BTCUSDT, 60.csv", f"time,open,high,low,close,Volume,Volume MA\n{MS // 1000},1,3,0.5,2,10,9\n{MS // 1000 + 3600},1,3,0.5,2,10,9\n",
        "OHLCV bars", "BTCUSDT", (DAY + m(60) + LAST, DAY + m(120) + LAST), 2.0, 10.0, None, {**BAR, "bars": "1h"}, "",
    ),
    (
        "BTC_USDT-5m.csv", "date,open,high,low,close,volume\n2024-01-02 00:00:00+00:00,1,3,0.5,2,10\n2024-01-02 00:05:00+00:00,1,3,0.5,2,10\n",
        "OHLCV bars", "BTC_USDT", (DAY + m(5) + LAST, DAY + m(10) + LAST), 2.0, 10.0, None, {**BAR, "bars": "5m"}, "",
    ),
    (
        "ETH.csv", f"{MS},1,3,0.5,2,10\n{MS + 60000},1,3,0.5,2,10\n",
        "OHLCV bars", "ETH", (DAY + m(1) + LAST, DAY + m(2) + LAST), 2.0, 10.0, None, {**BAR, "bars": "1m"}, "",
    ),
    (
        "XBTUSD_1.csv", f"{MS // 1000},1,3,0.5,2,10,7\n{MS // 1000 + 60},1,3,0.5,2,10,7\n",
        "OHLCV bars", "XBTUSD", (DAY + m(1) + LAST, DAY + m(2) + LAST), 2.0, 10.0, None, {**BAR, "count": 7, "bars": "1m"}, "",
    ),
    (
        "DAT_ASCII_EURUSD_T_202401.csv", "20240101 190000000,1.5,1.75,0\n20240101 190100000,1.5,1.75,0\n",
        "HistData ticks", "EURUSD", (DAY, DAY + m(1)), 1.625, 0.0, 1.5, {}, "",
    ),
    (
        "DAT_ASCII_EURUSD_M1_2024.csv", "20240101 190000;1;3;0.5;2;0\n20240101 190100;1;3;0.5;2;0\n",
        "HistData bars", "EURUSD", (DAY + m(1) + LAST, DAY + m(2) + LAST), 2.0, 0.0, None, {**BAR, "bars": "1m"}, "",
    ),
    (
        "BTCUSDT-aggTrades-2024-01.csv", f"11,2,10,1,2,{MS},True,True\n12,2,10,1,2,{MS + 60000},False,True\n",
        "Binance aggTrades", "BTCUSDT", (DAY, DAY + m(1)), 2.0, 10.0, None, {}, "11",
    ),
    (
        "BTCUSDT-aggTrades-2025-01.csv", f"11,2,10,1,2,{US},true,true\n12,2,10,1,2,{US + 60000000},true,true\n",
        "Binance aggTrades", "BTCUSDT", (DAY, DAY + m(1)), 2.0, 10.0, None, {}, "11",
    ),
    (
        "BTCUSDT-aggTrades-2024-02.csv", f"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n11,2,10,1,2,{MS},true\n12,2,10,1,2,{MS + 60000},true\n",
        "Binance aggTrades", "BTCUSDT", (DAY, DAY + m(1)), 2.0, 10.0, None, {}, "11",
    ),
    (
        "BTCUSDT-trades-2024-01.csv", f"11,2,10,20,{MS},True,True\n12,2,10,20,{MS + 60000},True,True\n",
        "Binance trades", "BTCUSDT", (DAY, DAY + m(1)), 2.0, 10.0, None, {}, "11",
    ),
    (
        "BTCUSDT-1m-2024-01.csv", f"{MS},1,3,0.5,2,10,{MS + 59999},20,7,5,10,0\n{MS + 60000},1,3,0.5,2,10,{MS + 119999},20,7,5,10,0\n",
        "Binance klines", "BTCUSDT", (DAY + m(1) + 1000 * LAST, DAY + m(2) + 1000 * LAST), 2.0, 10.0, None, {**BAR, "count": 7, "bars": "1m"}, "",
    ),
    (
        "BTCUSDT-1m-2025-01.csv", f"open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n{US},1,3,0.5,2,10,{US + 59999999},20,7,5,10,0\n{US + 60000000},1,3,0.5,2,10,{US + 119999999},20,7,5,10,0\n",
        "Binance klines", "BTCUSDT", (DAY + m(1) + LAST, DAY + m(2) + LAST), 2.0, 10.0, None, {**BAR, "count": 7, "bars": "1m"}, "",
    ),
    (
        "2024-01-02.csv", f"ticker,volume,open,close,high,low,window_start,transactions\nA,10,1,2,3,0.5,{NS},7\nA,10,1,2,3,0.5,{NS + 60 * 10**9},7\n",
        "Polygon aggregates", "A", (DAY + m(1) + LAST, DAY + m(2) + LAST), 2.0, 10.0, None, {**BAR, "count": 7, "bars": "1m"}, "",
    ),
    (
        "trades.csv", f'ticker,conditions,id,participant_timestamp,price,sip_timestamp,size\nA,"12,37",11,1,2,{NS},10\nA,,12,1,2,{NS + 60 * 10**9 + 999},10\n',
        "Polygon ticks", "A", (DAY, DAY + m(1)), 2.0, 10.0, None, {}, "11",
    ),
    (
        "EURUSD_M1.csv", "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.01.02\t00:00:00\t1\t3\t0.5\t2\t9\t10\t3\n2024.01.02\t00:01:00\t1\t3\t0.5\t2\t9\t10\t3\n",
        "OHLCV bars", "EURUSD", (DAY + m(1) + LAST, DAY + m(2) + LAST), 2.0, 10.0, None, {**BAR, "bars": "1m"}, "",
    ),
    (
        "DAX.csv", '"Date";"Close"\r\n"31/12/2023";"2"\r\n"01/01/2024";"2"\r\n',
        "trades", "DAX", (DAY - m(1440) + LAST, DAY + LAST), 2.0, 0.0, None, {"bars": "1d"}, "",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{case[2]} {case[0]}" for case in CASES])
@pytest.mark.parametrize("packed", ["plain", "gz", "zip", "bom"])
def test_a_layout_is_found_and_read(tmp_path, case, packed):
    name, text, kind, symbol, times, price, volume, bid, metadata, tick_id = case
    file = tmp_path / name
    if packed == "gz":
        file = tmp_path / f"{name}.gz"
        file.write_bytes(gzip.compress(text.encode()))
    elif packed == "zip":
        file = tmp_path / name.replace(".csv", ".zip")
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, text)
    else:
        file.write_bytes((b"\xef\xbb\xbf" if packed == "bom" else b"") + text.encode())
    data = open_files(file)
    first, second = data
    assert data.files[0].mapping.kind == kind
    assert (first.timestamp, second.timestamp) == times
    assert [first.symbol, second.symbol] == [symbol, symbol]
    assert (first.price, first.volume, first.bid) == (price, volume, bid)
    assert (first.metadata, first.id) == (metadata, tick_id)
    assert data.bad.count == 0
    assert list(data) == [first, second]
    assert data.done == 1.0


def write(folder, text, name="x.csv"):
    file = folder / name
    file.write_text(text)
    return file


def test_what_was_found_is_said(tmp_path):
    file = write(tmp_path, CASES[1][1], "SPY.csv")
    assert str(open_files(file)).splitlines() == [
        "SPY.csv: Yahoo bars",
        "  timestamp  Date (column 1): date, UTC assumed",
        "  symbol     SPY, from the file's name",
        "  price      Close (column 5)",
        "  volume     Volume (column 7)",
        "  open       Open (column 2)",
        "  high       High (column 3)",
        "  low        Low (column 4)",
        "  bars       of 1d, dated by their start; given at their last microsecond, when the close is known",
        "  ignored    Adj Close",
    ]


def test_the_users_words_go_before_what_is_found(tmp_path):
    text = "Day,Last,Close,n\n02.01.2024 01:00,1,2,3\n03.01.2024 01:00,1,2,3\n"
    data = open_files(
        write(tmp_path, text),
        symbol="DAX",
        zone="Europe/Berlin",
        mapping={"price": "Last", "timestamp": "Day:%d.%m.%Y %H:%M", "volume": "4"},
    )
    assert next(iter(data)) == MarketData(DAY, "DAX", 1.0, 3.0)
    bars = write(tmp_path, "Date,Close\n2024-01-02,2\n2024-01-03,2\n")
    for mapping, at in (({"stamp": "end"}, DAY), ({"bars": "1h"}, DAY + m(60) + LAST)):
        assert next(iter(open_files(bars, mapping=mapping))).timestamp == at
    small = write(tmp_path, "time,price\n1,2\n2,3\n")
    with pytest.raises(LayoutError, match="are no epoch of one unit; say which"):
        open_files(small)
    first, _ = open_files(small, mapping={"timestamp": "time:ms"})
    assert first.timestamp == datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)


def test_a_zone_with_summer_time(tmp_path):
    days = (
        "2024-03-10 01:59:00",
        "2024-03-10 03:00:00",
        "2024-11-03 01:30:00",
        "2024-12-03 01:30:00",
    )
    text = "Datetime,price\n" + "".join(f"{at},1\n" for at in days)
    data = open_files(write(tmp_path, text), zone="America/New_York")
    assert [tick.timestamp.isoformat() for tick in data] == [
        "2024-03-10T06:59:00+00:00",
        "2024-03-10T07:00:00+00:00",
        "2024-11-03T05:30:00+00:00",
        "2024-12-03T06:30:00+00:00",
    ]


@pytest.mark.parametrize(
    ("text", "words", "fix"),
    [
        ("Date,Price,Close\n2024-01-02,1,2\n", "price may be 'Price' or 'Close'. Its columns: Date, Price, Close", "--map 'price=Close'"),
        ("Date,Open,High\n2024-01-02,1,2\n", "no column is known to be the price, or bid and ask. Its columns: Date, Open, High", "--map 'price=High'"),
        ("when,price\n2024-01-02,1\n", "no column is known to be the timestamp", "--map 'timestamp=when'"),
        ("unix,close,Volume BTC,Volume USDT\n1704153600,1,2,3\n", "volume may be 'Volume BTC' or 'Volume USDT'", "--map 'volume=Volume BTC'"),
        ("Date,Close\n03/04/2024,1\n", "'03/04/2024' may be day/month or month/day", "--map 'timestamp=Date:FORM'"),
        ("Date,Close\n2024-01-02,$1.5\n", ":2:12: price was '$1.5', which is no number; none of the first 1 rows", "--map price=Close"),
        ("1,2,3\n4,5,6\n", "Its columns: 1 ('1'), 2 ('2'), 3 ('3'); there is no header", "--map 'timestamp=1'"),
        ("", ":1: the file is empty", "a row a line"),
        ("timestamp,symbol,price\r2024-01-02,A,1\r", "lines end in CR alone", "tr "),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused_with_the_way_out(tmp_path, text, words, fix):
    file = tmp_path / "x.csv"
    file.write_bytes(text.encode())
    with pytest.raises(LayoutError) as caught:
        open_files(file)
    (problem,) = caught.value.problems
    assert problem.found.startswith("x.csv:")
    assert words in problem.found
    assert fix in problem.fix


def test_all_problems_of_all_files_come_at_once(tmp_path):
    wide = tmp_path / "wide.csv"
    wide.write_bytes("timestamp,symbol,price\n".encode("utf-16"))
    cut = write(tmp_path, "PAR1 and no more", "cut.parquet")
    archive = tmp_path / "two.zip"
    with zipfile.ZipFile(archive, "w") as two:
        two.writestr("a", "1")
        two.writestr("b", "2")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LayoutError) as caught:
        open_files([wide, tmp_path / "none.csv", tmp_path, cut, archive, tmp_path / "pipe"])
    found = [problem.found for problem in caught.value.problems]
    assert found[0] == "wide.csv:1: the file is UTF-16"
    assert found[1].endswith("none.csv: no such file or directory")
    assert found[2].endswith(": is a directory")
    assert found[3].startswith("cut.parquet: the file is damaged")
    assert found[4] == "two.zip: the archive is damaged, encrypted, or holds not just one file"
    assert found[5].endswith("pipe: this is no file")
    for wrong, words in (
        ({"prize": "x"}, "'prize' is nothing that a column can be"),
        ({"price": "x"}, "no column 'x' for price"),
        ({"stamp": "middle"}, "stamp was 'middle'"),
    ):
        with pytest.raises(LayoutError, match=words):
            open_files(write(tmp_path, "time,price\n2024-01-02,1\n"), mapping=wrong)
    with pytest.raises(LayoutError, match="there is no zone 'Mars/Base' here"):
        open_files(wide, zone="Mars/Base")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs the recordings in ../shared")
def test_the_recordings_are_read_whole():
    counts = {
        "binance_spot_btcusdt_ethusdt_trades_20240808.csv": 15_863,
        "fx_eurusd_ticks_20200101.csv": 9_500,
        "fx_gbpusd_m1_201202.csv": 30_117,
        "crypto_btcperp_m1_202201.csv": 45_031,
        "equity_spy_daily_2008_2017.csv": 2_519,
    }
    for name, count in counts.items():
        data = open_files(SHARED / name)
        assert sum(map(len, data.blocks())) == data.count == count
        assert not data.bad.lines()
    every = open_files([SHARED / name for name in counts])
    times = [tick.timestamp for tick in every]
    assert len(times) == sum(counts.values())
    assert times == sorted(times)


def test_the_room_offers_what_it_says():
    import ntp.layouts

    assert all(hasattr(ntp.layouts, name) for name in offered)
