"""The two files that ship are what their origin says."""

import gzip
from pathlib import Path

import pytest

from ntp.exchange import recording, shipped, synthetic

SHARED = Path(__file__).parents[3] / "shared" / "data"
FRAMES = SHARED / "binance_spot_frames_20240808.txt.gz"
CLOSES = SHARED / "equity_spy_daily_2008_2017.csv"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the recordings in ../shared are not there"
)


def test_books_trades_tickers_and_depth_of_both_symbols_and_the_busiest_second():
    recorded = recording.read(recording.SHIPPED)
    assert set(recorded.tracks) == {"BTCUSDT", "ETHUSDT"}
    for symbol, track in recorded.tracks.items():
        kinds = {frame.kind for frame in recorded.frames if frame.symbol == symbol}
        assert kinds == {"trade", "bookTicker", "depthUpdate"}
        assert len(track.book.bids) == len(track.book.asks) == 1000
        assert track.first_diff <= track.book.last_update + 1
    times = [frame.at_ns for frame in recorded.frames]
    assert min(times[at + 857] - times[at] for at in range(len(times) - 857)) < 1_000_000_000
    assert 1_240 < recorded.lead_ms < 1_300


def test_the_files_are_small_and_say_where_they_come_from():
    folder = recording.SHIPPED.parent
    assert sum(file.stat().st_size for file in folder.iterdir()) < 450_000
    assert "synthetic" in synthetic.SHIPPED.name
    origin = (folder / "ORIGIN.md").read_text()
    for file in folder.glob("*.gz"):
        assert file.name in origin
    assert "Permission is hereby granted" in (folder / "LICENSE-hftbacktest").read_text()


@pytest.mark.shared
@needs_shared
def test_they_are_made_from_the_shared_recordings(tmp_path):
    shipped.main(FRAMES, CLOSES, tmp_path)
    for file in (recording.SHIPPED, synthetic.SHIPPED):
        made = gzip.decompress((tmp_path / file.name).read_bytes())
        assert made == gzip.decompress(file.read_bytes())


@pytest.mark.shared
@needs_shared
def test_the_whole_shared_recording_can_be_read():
    recorded = recording.read(FRAMES)
    assert len(recorded.frames) > 26_000
    assert recorded.length_ns > 119 * 1_000_000_000
