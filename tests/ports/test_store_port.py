"""What every Store promises; and what the SQLite file survives."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.decide.state import Exit, Record
from orchestrator.errors import ConflictError, NtpError, UnreachableError
from orchestrator.ports import Event, Revision
from orchestrator.store.sqlite import KEPT_EVENTS, SqliteStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "state.db"


@pytest.fixture
def store(path):
    with SqliteStore.open(path) as opened:
        yield opened


def revision(number, text="plugins: {}\n"):
    return Revision(
        number, NOON, (("plugins.yaml", text),), {"rsi": "sha256:ab"}, {"PLUGIN_DIR": "plugins"}
    )


def test_a_revision_is_kept_and_the_newest_is_current(store):
    assert store.current() is None
    store.save(revision(1), expect=None)
    store.save(revision(2, "plugins: {strategies: []}\n"), expect=1)
    assert store.current() == revision(2, "plugins: {strategies: []}\n")
    assert [each.number for each in store.revisions()] == [1, 2]


@pytest.mark.parametrize("expect", [None, 0, 2])
def test_a_revision_that_somebody_else_overtook_is_refused(store, expect):
    store.save(revision(1), expect=None)
    with pytest.raises(ConflictError, match="revision 1 was applied meanwhile"):
        store.save(revision(2), expect=expect)
    assert store.current() == revision(1)


moments = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis wants them naive
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
exits = st.builds(
    Exit,
    at=moments,
    code=st.none() | st.integers(0, 255),
    reason=st.text(),
    message=st.text(),
    last_output=st.lists(st.text(), max_size=3).map(tuple),
)
records = st.builds(
    Record,
    generation=st.integers(0, 2**53),
    failures=st.integers(0, 99),
    not_before=st.none() | moments,
    gave_up=st.booleans(),
    stopped_by_hand=st.booleans(),
    last_exit=st.none() | exits,
    refusal=st.text(),
)


@given(records)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_record_comes_back_as_it_was_put(store, record):
    store.put("rsi", record)
    assert store.records() == {"rsi": record}


def test_a_forgotten_record_is_gone_and_forgetting_twice_is_fine(store):
    store.put("rsi", Record(generation=1))
    store.forget("rsi")
    store.forget("rsi")
    assert store.records() == {}


def test_everything_is_there_after_reopening(path):
    with SqliteStore.open(path) as store:
        store.save(revision(1), expect=None)
        store.put("rsi", Record(generation=3, failures=2, not_before=NOON))
        store.set("runtime", "process")
        store.log(Event(NOON, "rsi", "Normal", "Started", "new"))
    with SqliteStore.open(path) as store:
        assert store.repaired == ""
        assert store.current() == revision(1)
        assert store.records() == {"rsi": Record(generation=3, failures=2, not_before=NOON)}
        assert store.setting("runtime") == "process"
        assert store.setting("nothing") is None
        assert store.events(name=None, limit=9) == [Event(NOON, "rsi", "Normal", "Started", "new")]


def test_an_event_that_repeats_is_counted_and_dated_anew(store):
    for second in range(5):
        at = NOON + timedelta(seconds=second)
        store.log(Event(at, "rsi", "Warning", "BackOff", "exit code 1"))
    store.log(Event(NOON + timedelta(seconds=9), "", "Normal", "Applied", "revision 1"))
    assert store.events(name="rsi", limit=9) == [
        Event(NOON + timedelta(seconds=4), "rsi", "Warning", "BackOff", "exit code 1", 5)
    ]


def test_an_event_that_returns_after_a_long_time_is_a_new_one(store):
    store.log(Event(NOON, "rsi", "Warning", "BackOff", "exit code 1"))
    store.log(Event(NOON + timedelta(hours=1), "rsi", "Warning", "BackOff", "exit code 1"))
    assert [each.count for each in store.events(name="rsi", limit=9)] == [1, 1]


def test_events_are_the_newest_oldest_first_and_bounded(store):
    for number in range(KEPT_EVENTS + 250):
        store.log(Event(NOON + timedelta(seconds=number), "rsi", "Normal", "N", str(number)))
        if number == 300:
            # The bound is what is tested, not this disk's patience.
            store._connection.execute("PRAGMA synchronous = OFF")
    found = store.events(name=None, limit=3)
    assert [each.message for each in found] == [str(KEPT_EVENTS + n) for n in (247, 248, 249)]
    assert len(store.events(name=None, limit=10**6)) <= KEPT_EVENTS + 100


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
        store.put("rsi", Record(generation=3))
        store.put("momentum", Record(generation=4))
        store._connection.execute(
            "UPDATE records SET body = replace(body, '\"generation\":3', '\"generation\":7')"
        )
    with SqliteStore.open(path) as store:
        assert "records rsi: its checksum does not fit" in store.repaired
        assert store.records() == {"momentum": Record(generation=4)}
        assert store.current() == revision(1)
    assert path.with_name("state.db.damaged-1").exists()


@pytest.mark.parametrize("damage", ["header", "middle", "empty page", "noise"])
def test_a_damaged_file_is_kept_aside_and_the_store_works_again(path, damage):
    with SqliteStore.open(path) as store:
        store.save(revision(1, "x" * 100_000), expect=None)
        for number in range(300):
            store._connection.execute("PRAGMA synchronous = OFF")
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
    with SqliteStore.open(path) as store:
        assert store.repaired == ""


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
