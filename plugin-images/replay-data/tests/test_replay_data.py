import asyncio
import csv
import gzip
from collections import Counter
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_data import ReplayData

from ntp import MarketData
from tests.worlds.manifests import defaults, manifest_of

HEADER = "timestamp,symbol,price,volume,bid,ask\n"
SHARED = Path(__file__).parents[4] / "shared" / "data"


async def replay(source: ReplayData, *, at_most: int | None = None) -> list[MarketData]:
    """Do what a runner does."""
    assert source.validate_config()
    assert await source.connect()
    await source.subscribe(source.config.get("symbols", []))
    ticks = []
    async with aclosing(source.stream()) as stream:
        async for tick in stream:
            ticks.append(tick)
            if len(ticks) == at_most:
                break
    return ticks


def of_file(folder: Path, text: str | bytes, name: str = "mine.csv", **config) -> ReplayData:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    source = ReplayData({"file": name, **config})
    source.instance, source.storage = "src", folder
    return source


def rows(count: int, step_s: float = 1.0, symbols: tuple[str, ...] = ("A",)) -> str:
    start = datetime(2026, 1, 2, tzinfo=UTC)
    lines = [
        f"{(start + timedelta(seconds=i * step_s)).isoformat()},{symbols[i % len(symbols)]},{100 + i},1,,\n"
        for i in range(count)
    ]
    return HEADER + "".join(lines)


async def test_the_bundled_recording_is_replayed_row_by_row():
    ticks = await replay(ReplayData({}))
    path = Path(__file__).parent.parent / "recording.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        expected = list(csv.DictReader(text))
    assert Counter(t.symbol for t in ticks) == {"BTCUSDT": 9757, "ETHUSDT": 6106}
    for tick, row in zip(ticks, expected, strict=True):
        assert tick.timestamp == datetime.fromisoformat(row["timestamp"])
        assert tick.timestamp.utcoffset() == timedelta(0)
        assert tick.symbol == row["symbol"]
        written = [float(row[name]) for name in ("price", "volume", "bid", "ask")]
        assert [tick.price, tick.volume, tick.bid, tick.ask] == written
    assert len({t.id for t in ticks}) == len(ticks)


def test_the_bundled_recording_is_small():
    folder = Path(__file__).parent.parent
    assert (folder / "recording.csv.gz").stat().st_size < 400_000
    assert "MIT" in (folder / "ORIGIN.md").read_text()


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings in ../shared are not there")
async def test_the_bundled_recording_is_the_shared_one():
    shared = SHARED / "binance_spot_btcusdt_ethusdt_trades_20240808.csv"
    bundled = Path(__file__).parent.parent / "recording.csv.gz"
    assert gzip.decompress(bundled.read_bytes()) == shared.read_bytes()


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings in ../shared are not there")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("fx_eurusd_ticks_20200101.csv", 9_500),
        ("fx_gbpusd_m1_201202.csv", 30_117),
        ("crypto_btcperp_m1_202201.csv", 45_031),
        ("equity_spy_daily_2008_2017.csv", 2_519),
    ],
)
async def test_every_shared_recording_is_read_without_a_bad_row(tmp_path, name: str, count: int):
    source = of_file(tmp_path, (SHARED / name).read_bytes(), name)
    assert len(await replay(source)) == count
    assert source.report()["bad_rows"] == 0


async def test_ids_are_the_same_in_every_replay_and_name_the_row(tmp_path):
    first = await replay(of_file(tmp_path, rows(3)))
    again = await replay(of_file(tmp_path, rows(3)))
    assert (
        [t.id for t in first] == [t.id for t in again] == [f"src:mine.csv:{n}" for n in (2, 3, 4)]
    )


async def test_only_the_wanted_symbols_are_sent(tmp_path):
    ticks = await replay(of_file(tmp_path, rows(9, symbols=("A", "B", "C")), symbols=["A", "C"]))
    assert [t.symbol for t in ticks] == ["A", "C"] * 3


async def test_a_symbol_that_is_not_in_the_file_is_reported(tmp_path, caplog):
    source = of_file(tmp_path, rows(3), symbols=["A", "DOGE"])
    await replay(source)
    assert source.report()["absent_symbols"] == ["DOGE"]
    assert "DOGE" in caplog.text


async def test_symbols_can_change_while_it_streams(tmp_path):
    source = of_file(tmp_path, rows(8, symbols=("A", "B")), symbols=["A"])
    await source.subscribe(["A"])
    seen = []
    async with aclosing(source.stream()) as stream:
        async for tick in stream:
            seen.append(tick.symbol)
            if len(seen) == 2:
                await source.subscribe(["B"])
                await source.unsubscribe(["A"])
    assert seen == ["A", "A", "B", "B", "B"]


async def test_no_symbol_left_is_not_every_symbol(tmp_path):
    source = of_file(tmp_path, rows(8), symbols=["A"])
    await source.subscribe(["A"])
    await source.unsubscribe(["A"])
    assert [tick async for tick in source.stream()] == []


async def test_an_added_symbol_begins_where_the_replay_is_and_is_never_called_absent(tmp_path):
    text = rows(6, symbols=("B", "A", "A"))
    source = of_file(tmp_path, text, symbols=["A"], speed=0)
    await source.subscribe(["A"])
    ids = []
    async with aclosing(source.stream()) as stream:
        async for tick in stream:
            ids.append((tick.symbol, tick.id))
            if len(ids) == 1:
                await source.subscribe(["B"])
    # Line 2 was B's too, and is over.
    assert [symbol for symbol, _ in ids] == ["A", "A", "B", "A", "A"]
    assert source.report()["absent_symbols"] == []

    source = of_file(
        tmp_path, HEADER + rows(2, symbols=("B", "A")).removeprefix(HEADER), symbols=["A"]
    )
    await source.subscribe(["A"])
    async with aclosing(source.stream()) as stream:
        async for _ in stream:
            await source.subscribe(["B"])
    assert source.report()["absent_symbols"] == [], "its rows were over, but they are there"


async def test_a_symbol_that_goes_while_its_tick_waits_for_its_time_is_not_sent(tmp_path):
    source = of_file(tmp_path, rows(4, step_s=0.4, symbols=("A", "B")), speed=1)
    await source.subscribe(["A", "B"])
    sent = []

    async def read():
        async with aclosing(source.stream()) as stream:
            async for tick in stream:
                sent.append(tick.symbol)
                if len(sent) == 1:
                    asyncio.get_running_loop().call_soon(gone.set)

    gone = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        await gone.wait()
        await source.unsubscribe(["B"])
    assert sent == ["A", "A"]


async def test_bad_rows_are_reported_with_their_line_and_passed_over(tmp_path, caplog):
    text = HEADER + (
        "2026-01-02T00:00:00Z,A,100,1,,\n"
        "yesterday,A,101,1,,\n"
        "2026-01-02T00:00:01Z,A,lots,1,,\n"
        "2026-01-02T00:00:02Z,A,nan,1,,\n"
        "2026-01-02T00:00:03Z,A,100,-1,,\n"
        "2026-01-02T00:00:04Z,A,100,1,inf,\n"
        "2026-01-02T00:00:05Z,,100,1,,\n"
        "2026-01-02T00:00:06Z,A,100\n"
        "2026-01-01T00:00:00Z,A,100,1,,\n"
        "\n"
        "2026-01-02T00:00:07Z,A,\xff,1,,\n"
        "2026-01-02T00:00:08Z,A,108,,1,2\n"
    )
    source = of_file(tmp_path, text.encode("latin-1"))
    ticks = await replay(source)
    assert [(t.price, t.volume, t.bid, t.ask) for t in ticks] == [
        (100.0, 1.0, None, None),
        (108.0, 0.0, 1.0, 2.0),
    ]
    assert source.report()["bad_rows"] == 9
    for line in (3, 4, 5, 6, 7, 8, 9, 10, 12):
        assert f"mine.csv:{line}: " in caplog.text
    assert source.report()["last_bad_row"].startswith("mine.csv:12: ")


async def test_a_flood_of_bad_rows_is_counted_and_told_ten_times(tmp_path, caplog):
    source = of_file(tmp_path, rows(1) + "x\n" * 1000)
    await replay(source)
    assert source.report()["bad_rows"] == 1000
    assert caplog.text.count("replay.bad_row") == 10


@pytest.mark.parametrize("body", ["", "x\n", "a,b,c,d,e,f\n" * 3])
async def test_a_file_without_one_usable_row_is_refused_even_in_a_loop(tmp_path, body: str):
    with pytest.raises(ValueError, match=r"mine\.csv has no usable row"):
        await replay(of_file(tmp_path, HEADER + body, loop=True))


async def test_a_header_that_lacks_a_column_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"mine\.csv:1: the header has no timestamp, price; write"):
        await replay(of_file(tmp_path, "time,symbol,last\n1,2,3\n"))


async def test_columns_may_stand_in_any_order_with_others_between(tmp_path):
    text = "venue,price,symbol,timestamp\nX,5,A,2026-01-02T00:00:00Z\n"
    (tick,) = await replay(of_file(tmp_path, text))
    assert (tick.price, tick.symbol, tick.volume, tick.bid) == (5.0, "A", 0.0, None)


@pytest.mark.parametrize(
    "text", ["2026-01-02T00:00:00", "2026-01-02T00:00:00Z", "2026-01-02T03:00:00+03:00"]
)
async def test_a_time_without_an_offset_is_utc(tmp_path, text: str):
    (tick,) = await replay(of_file(tmp_path, f"{HEADER}{text},A,1,1,,\n"))
    assert tick.timestamp.isoformat() == "2026-01-02T00:00:00+00:00"


async def test_a_compressed_file_that_is_cut_off_ends_there_and_says_so(tmp_path):
    whole = gzip.compress(rows(5000).encode())
    source = of_file(tmp_path, whole[: len(whole) // 2], "cut.csv.gz")
    ticks = await replay(source)
    assert 0 < len(ticks) < 5000
    assert "the file ends here" in source.report()["last_bad_row"]


async def test_what_is_no_gzip_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no\.csv\.gz cannot be read"):
        await replay(of_file(tmp_path, b"plain text", "no.csv.gz"))


async def test_a_loop_goes_on_in_time_with_new_ids(tmp_path):
    ticks = await replay(of_file(tmp_path, rows(3, step_s=0.5), loop=True), at_most=7)
    times = [t.timestamp for t in ticks]
    assert times == sorted(set(times))
    assert [t.price for t in ticks] == [100, 101, 102, 100, 101, 102, 100]
    assert ticks[3].id == "src:mine.csv:1/2"
    assert len({t.id for t in ticks}) == 7


async def test_a_limit_ends_it(tmp_path):
    assert len(await replay(of_file(tmp_path, rows(10), limit=4))) == 4
    assert len(await replay(of_file(tmp_path, rows(3), limit=8, loop=True))) == 8


@pytest.mark.parametrize("at", [1, 4, 5, 9])
async def test_it_resumes_after_the_row_that_was_sent_last(tmp_path, at: int):
    def source() -> ReplayData:
        return of_file(tmp_path, rows(5), loop=True, limit=12)

    whole = await replay(source())
    resumed = source()
    resumed.resume(whole[at - 1].id)
    assert await replay(resumed) == whole[at:]


async def test_a_position_in_another_file_begins_at_the_first_row(tmp_path):
    source = of_file(tmp_path, rows(5))
    source.resume("src:other.csv:4")
    assert len(await replay(source)) == 5


class LeapingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer, so that nothing is waited for or measured."""

    skipped = 0.0

    def time(self) -> float:
        return super().time() + self.skipped

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.skipped += max(0.0, self._scheduled[0].when() - self.time())
        super()._run_once()


@pytest.mark.parametrize("speed", [1.0, 10.0, 0.5])
def test_the_pace_is_that_of_the_recording_times_the_speed(tmp_path, speed: float):
    async def elapsed() -> float:
        clock = asyncio.get_running_loop().time
        began = clock()
        assert len(await replay(of_file(tmp_path, rows(101, step_s=60), speed=speed))) == 101
        return clock() - began

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        assert 6000 / speed <= runner.run(elapsed()) < 6000 / speed + 60


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"file": "../../etc/passwd.csv"}, "leads out of its folder"),
        ({"file": "/etc/hosts.csv"}, "leads out of its folder"),
        ({"file": "absent.csv"}, "was not found in the entry's storage"),
        ({"file": "recording.parquet"}, r"name a \.csv"),
        ({"file": 5}, r"name a \.csv"),
        ({"speed": -1}, "speed was -1"),
        ({"speed": float("nan")}, "speed was nan"),
        ({"limit": 0}, "limit was 0"),
        ({"loop": "yes"}, "loop was 'yes'"),
    ],
)
def test_a_config_that_cannot_work_is_refused_in_words(tmp_path, config: dict, words: str):
    source = ReplayData(config)
    source.storage = tmp_path
    with pytest.raises(ValueError, match=words):
        source.validate_config()


def test_a_link_that_leads_out_of_the_storage_is_refused(tmp_path):
    (tmp_path / "storage").mkdir()
    (tmp_path / "secret.csv").write_text(rows(1))
    (tmp_path / "storage" / "mine.csv").symlink_to(tmp_path / "secret.csv")
    source = ReplayData({"file": "mine.csv"})
    source.storage = tmp_path / "storage"
    with pytest.raises(ValueError, match="leads out of its folder"):
        source.validate_config()


LINES = st.lists(
    st.one_of(st.text(max_size=60), st.just("2026-01-02T00:00:00Z,A,1,1,,")), max_size=20
)


@given(lines=LINES)
async def test_no_file_makes_it_crash(tmp_path_factory, lines: list[str]):
    text = HEADER + "2026-01-02T00:00:00Z,A,1,1,,\n" + "\n".join(lines)
    source = of_file(tmp_path_factory.mktemp("any"), text.encode(errors="surrogatepass"))
    ticks = await replay(source)
    assert len(ticks) == source.report()["rows"] >= 1


def test_the_manifest_says_what_the_code_does():
    manifest = manifest_of(ReplayData({}), Path(__file__).parents[1])
    assert manifest.finite is ReplayData.finite
    assert ReplayData(defaults(manifest)).validate_config()
