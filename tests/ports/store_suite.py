"""What every Store promises, whatever keeps it: the files test_store_port*.py run this."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.decide.state import Exit, Record
from orchestrator.errors import ConflictError
from orchestrator.ports import Event, Revision

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def revision(number, text="plugins: {}\n"):
    return Revision(
        number, NOON, (("plugins.yaml", text),), {"rsi": "sha256:ab"}, {"PLUGIN_DIR": "plugins"}
    )


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


class StoreSuite:
    """A fixture `opened` is called for an `async with`: each gives the same store, opened anew."""

    kept_events: int

    async def test_a_revision_is_kept_and_the_newest_is_current(self, opened):
        async with opened() as store:
            assert store.current() is None
            store.save(revision(1), expect=None)
            store.save(revision(2, "plugins: {strategies: []}\n"), expect=1)
            assert store.current() == revision(2, "plugins: {strategies: []}\n")
            assert [each.number for each in store.revisions()] == [1, 2]
            assert store.numbered() == 2

    @pytest.mark.parametrize("expect", [None, 0, 2])
    async def test_a_revision_that_somebody_else_overtook_is_refused(self, opened, expect):
        async with opened() as store:
            store.save(revision(1), expect=None)
            with pytest.raises(ConflictError, match="revision 1 was applied meanwhile"):
                store.save(revision(2), expect=expect)
            assert store.current() == revision(1)

    async def test_a_record_comes_back_as_it_was_put(self, opened):
        async with opened() as store:
            # By hand, for hypothesis knows no coroutine that a fixture has opened.
            @given(records)
            @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
            def comes_back(record):
                store.put("rsi", record)
                assert store.records() == {"rsi": record}

            comes_back()
            last = store.records()
        async with opened() as store:
            assert store.records() == last

    async def test_a_forgotten_record_is_gone_and_forgetting_twice_is_fine(self, opened):
        async with opened() as store:
            store.put("rsi", Record(generation=1))
            store.put("momentum", Record(generation=2))
        async with opened() as store:
            store.forget("rsi")
            store.forget("rsi")
            assert store.records() == {"momentum": Record(generation=2)}
        async with opened() as store:
            assert store.records() == {"momentum": Record(generation=2)}

    async def test_everything_is_there_after_reopening(self, opened):
        async with opened() as store:
            store.save(revision(1), expect=None)
            store.put("rsi", Record(generation=3, failures=2, not_before=NOON))
            store.set("runtime", "process")
            store.log(Event(NOON, "rsi", "Normal", "Started", "new"))
        async with opened() as store:
            assert store.repaired == ""
            assert store.current() == revision(1)
            assert store.records() == {"rsi": Record(generation=3, failures=2, not_before=NOON)}
            assert store.setting("runtime") == "process"
            assert store.setting("nothing") is None
            assert not store.lost("nothing")
            assert store.lost_records(["momentum"]) == []
            assert store.events(name=None, limit=9) == [
                Event(NOON, "rsi", "Normal", "Started", "new")
            ]

    async def test_an_event_that_repeats_is_counted_and_dated_anew(self, opened):
        async with opened() as store:
            for second in range(5):
                at = NOON + timedelta(seconds=second)
                store.log(Event(at, "rsi", "Warning", "BackOff", "exit code 1"))
            store.log(Event(NOON + timedelta(seconds=9), "", "Normal", "Applied", "revision 1"))
            assert store.events(name="rsi", limit=9) == [
                Event(NOON + timedelta(seconds=4), "rsi", "Warning", "BackOff", "exit code 1", 5)
            ]

    async def test_an_event_goes_on_being_counted_after_reopening(self, opened):
        async with opened() as store:
            store.log(Event(NOON, "rsi", "Warning", "BackOff", "exit code 1"))
        async with opened() as store:
            store.log(Event(NOON, "rsi", "Warning", "BackOff", "exit code 1"))
            assert [each.count for each in store.events(name="rsi", limit=9)] == [2]

    async def test_an_event_that_returns_after_a_long_time_is_a_new_one(self, opened):
        async with opened() as store:
            store.log(Event(NOON, "rsi", "Warning", "BackOff", "exit code 1"))
            store.log(Event(NOON + timedelta(hours=1), "rsi", "Warning", "BackOff", "exit code 1"))
            assert [each.count for each in store.events(name="rsi", limit=9)] == [1, 1]

    async def test_events_are_the_newest_oldest_first_and_bounded(self, opened):
        async with opened() as store:
            for number in range(self.kept_events + 250):
                at = NOON + timedelta(seconds=number)
                store.log(Event(at, "rsi", "Normal", "N", str(number)))
            found = store.events(name=None, limit=3)
            newest = [str(self.kept_events + n) for n in (247, 248, 249)]
            assert [each.message for each in found] == newest
            assert len(store.events(name=None, limit=10**6)) <= self.kept_events + 100
