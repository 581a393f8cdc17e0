"""What every Store promises, of the SQLite file; and what that survives."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime

import pytest

from orchestrator.decide.state import Record
from orchestrator.errors import NtpError, UnreachableError
from orchestrator.ports import Event
from orchestrator.store.sqlite import KEPT_EVENTS, SqliteStore
from tests.ports.store_suite import StoreSuite, revision


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "state.db"


@pytest.fixture
def store(path):
    with SqliteStore.open(path) as opened:
        yield opened


class TestSqliteStore(StoreSuite):
    kept_events = KEPT_EVENTS

    @pytest.fixture
    def opened(self, path):
        @asynccontextmanager
        async def opened():
            with SqliteStore.open(path) as store:
                yield store

        return opened


def test_the_file_is_for_its_owner_only(path, store):
    store.set("a", "b")
    for each in path.parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) & 0o077 == 0, each.name


def test_a_file_of_a_newer_release_is_left_alone(path):
    with SqliteStore.open(path) as store:
        store._connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(NtpError, match="newer ntpctl"):
        SqliteStore.open(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_unreachable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnreachableError, match="cannot be opened"):
        SqliteStore.open(tmp_path / "file" / "state.db")


def test_a_record_whose_bits_were_flipped_is_dropped_and_the_rest_is_saved(path):
    with SqliteStore.open(path) as store:
        store.save(revision(1), expect=None)
        store.set("runtime", "process")
        store.put("rsi", Record(generation=3))
        store.put("momentum", Record(generation=4))
        store._connection.execute(
            "UPDATE records SET body = replace(body, '\"generation\":3', '\"generation\":7')"
        )
    with SqliteStore.open(path) as store:
        assert "records rsi: its checksum does not fit" in store.repaired
        assert store.records() == {"momentum": Record(generation=4)}
        assert store.current() == revision(1)
        assert (store.lost("halts"), store.lost("runtime")) == (True, False)
    assert path.with_name("state.db.damaged-1").exists()


@pytest.mark.parametrize("locked", [False, True])
def test_whoever_writes_after_an_event_waits_for_the_disk(path, store, locked):
    with sqlite3.connect(path) as other:
        if locked:
            store._connection.execute("PRAGMA busy_timeout = 1")
            other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnreachableError) if locked else nullcontext():
            store.log(Event(datetime.now(UTC), "a", "Normal", "Started", ""))
    store.put("a", Record())
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("damage", ["header", "middle", "empty page", "noise"])
def test_a_damaged_file_is_kept_aside_and_the_store_works_again(path, damage):
    with SqliteStore.open(path) as store:
        store.save(revision(1, "x" * 100_000), expect=None)
        for number in range(300):
            store.put(f"plugin{number}", Record(generation=number))
    raw = bytearray(path.read_bytes())
    match damage:
        case "header":
            raw[:100] = bytes(100)
        case "middle":
            raw[len(raw) // 2 : len(raw) // 2 + 4096] = os.urandom(4096)
        case "empty page":
            raw[4096:8192] = bytes(4096)
        case "noise":
            raw[:] = os.urandom(len(raw))
    path.write_bytes(raw)
    with SqliteStore.open(path) as store:
        assert "was damaged" in store.repaired
        for name, record in store.records().items():
            assert name == f"plugin{record.generation}", "nothing wrong may be taken for right"
        store.put("rsi", Record(generation=1))
        assert store.records()["rsi"] == Record(generation=1)
    assert path.with_name("state.db.damaged-1").read_bytes() == raw
    for acknowledged in (False, True):
        with SqliteStore.open(path) as store:
            assert bool(store.repaired) != acknowledged
            store.acknowledge()


def test_what_was_lost_is_known_until_it_is_acknowledged_whoever_opens_the_file(path):
    with SqliteStore.open(path) as store:
        store.save(revision(4), expect=None)
        store.save(revision(5), expect=4)
        store.put("rsi", Record(stopped_by_hand=True))
        store.put("momentum", Record(generation=4))
        store.set("halts", "momentum")
        store.set("runtime", "process")
        store._connection.execute("UPDATE settings SET value = '' WHERE key = 'halts'")
        store._connection.execute("UPDATE revisions SET body = '' WHERE number = 5")
        store._connection.execute("UPDATE records SET body = '' WHERE name = 'rsi'")
    for _ in range(2):
        with SqliteStore.open(path) as store:
            assert (store.lost("halts"), store.lost("runtime")) == (True, False)
            assert store.lost_records(["rsi", "momentum", "atr"]) == ["atr", "rsi"]
            assert store.current() == revision(4)
            assert store.numbered() == 5
    with SqliteStore.open(path) as store:
        store.set("halts", "all")
        store.put("rsi", Record(generation=1))
        assert not store.lost("halts")
        assert store.lost_records(["rsi"]) == []
        store.acknowledge()
    with SqliteStore.open(path) as store:
        assert store.repaired == ""
        assert not store.lost("nothing")
        assert store.lost_records(["atr"]) == []
        assert store.numbered() == 4


def test_a_record_that_is_not_there_is_no_loss_where_all_records_were_read(path):
    with SqliteStore.open(path) as store:
        store.set("halts", "momentum")
        store._connection.execute("UPDATE settings SET value = ''")
    with SqliteStore.open(path) as store:
        assert store.lost("halts")
        assert store.lost_records(["atr"]) == []


RESCUER = textwrap.dedent(
    """
    import resource, sys
    from pathlib import Path
    from orchestrator.errors import UnreachableError
    from orchestrator.store.sqlite import SqliteStore
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))
    try:
        SqliteStore.open(Path(sys.argv[1]))
    except UnreachableError as error:
        print(error)
    """
)


def test_a_rescue_that_finds_the_disk_full_has_lost_nothing(path):
    with SqliteStore.open(path) as store:
        store.put("rsi", Record(refusal="x" * 300_000))
        store.put("momentum", Record(generation=4))
        store.set("halts", "momentum")
        store._connection.execute("UPDATE records SET body = '' WHERE name = 'momentum'")
    said = subprocess.run(
        [sys.executable, "-c", RESCUER, str(path)], stdout=subprocess.PIPE, text=True, check=True
    )
    assert "cannot be opened" in said.stdout
    with SqliteStore.open(path) as store:
        assert store.setting("halts") == "momentum"
        assert store.records() == {"rsi": Record(refusal="x" * 300_000)}
        assert "records momentum: its checksum does not fit" in store.repaired
    assert [each.name for each in path.parent.glob("*.damaged-*")] == ["state.db.damaged-1"]


@pytest.mark.parametrize("left", [["", "-wal", "-shm"], ["-wal", "-shm"], []])
def test_a_rescue_that_was_cut_off_when_all_was_written_is_finished_by_the_next(path, left):
    with SqliteStore.open(path) as store:
        store.set("halts", "momentum")
    path.rename(path.with_name("state.db.rescued"))
    for suffix in left:
        path.with_name(f"state.db{suffix}").write_bytes(b"damaged")
    with SqliteStore.open(path) as store:
        assert store.setting("halts") == "momentum"
    assert {each.name for each in path.parent.iterdir()} == {
        "state.db",
        *(f"state.db.damaged-1{suffix}" for suffix in left),
    }


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from orchestrator.decide.state import Record
    from orchestrator.store.sqlite import SqliteStore
    with SqliteStore.open(Path(sys.argv[1])) as store:
        for number in range(1, 10**9):
            store.put("rsi", Record(generation=number))
            print(number, flush=True)
    """
)


@pytest.mark.parametrize("after", [1, 7, 40])
def test_what_was_put_is_there_after_kill_nine(path, after):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        told = [int(writer.stdout.readline()) for _ in range(after)][-1]
        writer.send_signal(signal.SIGKILL)
        told = max([told, *(int(line) for line in writer.stdout if line.strip().isdigit())])
    with SqliteStore.open(path) as store:
        assert store.repaired == ""
        assert store.records()["rsi"].generation in (told, told + 1)
