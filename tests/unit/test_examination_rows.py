"""Recorded rows are named as a source names them: by their position."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ntp.contract.messages import MarketData
from ntp.examination.order import Data
from ntp.examination.rows import Rows, write


@pytest.mark.parametrize("rows", [1, 999, 1_000, 1_001, 12_345])
def test_each_row_of_a_file_has_the_id_of_its_position(rows: int, tmp_path: Path):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    ticks = [MarketData(start + timedelta(seconds=at), "BTC", 1.5, 2.0) for at in range(rows)]
    file = tmp_path / "rows.csv"
    lines = [f"{tick.timestamp:%Y-%m-%dT%H:%M:%S}Z,BTC,1.5,2,,\n" for tick in ticks]
    file.write_text("timestamp,symbol,price,volume,bid,ask\n" + "".join(lines))
    wanted = [f"recording:{number}" for number in range(1, rows + 1)]
    for data in (file, write(ticks, tmp_path / "rows.ticks")):
        shown = [tick for block in Rows(Data([str(data)])).blocks() for tick in block]
        assert [tick.id for tick in shown] == wanted
