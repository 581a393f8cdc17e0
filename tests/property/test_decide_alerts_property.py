"""What must hold of alerts whatever happens: one open a plugin and reason, not too many, none repeated."""

from collections import Counter
from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ntp.contract.names import Kind
from orchestrator.decide.alerts import BURST, REFILL, Book, Status, durable, step
from orchestrator.decide.findings import Finding, Reason
from orchestrator.decide.memory import forgive
from orchestrator.decide.state import Phase
from tests.worlds.alerted import Alerted
from tests.worlds.simulation import Simulation
from tests.worlds.specs import NOON, desired, seconds, spec

PLUGINS = {
    "feed": spec("feed", Kind.DATA_SOURCE),
    "a": spec("a", inputs=["feed"]),
    "b": spec("b", inputs=["feed"]),
}
WORDS = ("FeedStale", "Disconnected", "TradesMissed")

names = st.sampled_from(sorted(PLUGINS))
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("end"), names, st.sampled_from(["oom", "code", "permanent"])),
        st.tuples(st.just("pass"), st.sampled_from([1, 5, 40, 70, 400])),
        st.tuples(st.just("stop"), names),
        st.tuples(st.just("start"), names),
        st.tuples(st.just("wanted"), st.sets(names)),
        st.tuples(st.just("warn"), names, st.sets(st.sampled_from(WORDS))),
        st.tuples(st.just("rate"), names, st.sampled_from([0.0, 2.0])),
        st.tuples(st.just("lose"), names, st.integers(0, 2)),
        st.tuples(st.just("deaf"), st.booleans()),
        st.tuples(st.just("restart")),
        st.tuples(st.just("blind")),
    ),
    max_size=40,
)


def happen(desk, what, *values):  # noqa: C901 - a table of happenings
    world = desk.world
    if what == "end":
        name, how = values
        instance = world.instances.get(name)
        if instance is None or instance.phase is not Phase.RUNNING:
            return
        ends = {
            "oom": {"signal": 9, "oom": True},
            "code": {"code": 1},
            "permanent": {"code": 2, "permanent": True},
        }
        world.end(name, **ends[how])
        desk.lost[name] = 0
    elif what == "pass":
        world.step(length=seconds(values[0]))
    elif what in ("stop", "start") and values[0] in world.records:
        if what == "stop":
            world.stop_by_hand(values[0])
        else:
            world.records[values[0]] = forgive(world.records[values[0]])
    elif what == "wanted":
        world.apply(desired(*(PLUGINS[name] for name in sorted(values[0]))))
    elif what == "warn":
        desk.warnings[values[0]] = dict.fromkeys(values[1], "so it is")
    elif what == "rate":
        desk.rate[values[0]] = values[1]
    elif what == "lose":
        desk.lost[values[0]] = desk.lost.get(values[0], 0) + values[1]
    elif what == "deaf":
        world.listening_since = None if values[0] else world.now
    elif what == "restart":
        desk.restart()


def check(sent, book):
    assert all(count == 1 for count in Counter(each.id for each in sent).values())
    open_ = {}
    for each in sent:
        where = each.plugin, each.reason
        if each.status is Status.FIRING:
            assert where not in open_, "a second alert without an end of the first"
            open_[where] = each.alert
        elif each.status is Status.RESOLVED:
            assert open_.pop(where, None) == each.alert, "an end of what was never told"
    told = {(o.finding.plugin, o.finding.reason) for o in book.open.values() if o.told}
    assert told == open_.keys()
    assert sum(each.suppressed for each in sent) + book.held == book.suppressed


@settings(max_examples=300, deadline=None)
@given(happenings)
def test_no_alert_is_opened_twice_and_none_ends_twice(happened):
    desk = Alerted(Simulation(desired(*PLUGINS.values())))
    desk.look()
    for what in happened:
        happen(desk, *what)
        desk.look(blind=what[0] == "blind")
        assert desk.look(blind=what[0] == "blind") == [], "the same look is told twice"
        check(desk.sent, desk.book)


steps = st.lists(
    st.tuples(
        st.integers(-20, 60),
        st.dictionaries(st.integers(0, 14), st.booleans(), max_size=15),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_a_storm_is_bounded_and_nothing_is_left_out_unsaid(storm):
    """At any clock, also one that is set back; the book is written and read again at any time."""
    book, now, sent, passed, opened = Book(), NOON, [], timedelta(0), 0
    wanted = {f"p{number}" for number in range(15)}
    for length, wrong, restarted in storm:
        now += timedelta(seconds=length)
        passed += timedelta(seconds=max(length, 0))
        findings = [
            Finding(f"p{number}", "strategy", Reason.OOM_KILLED, wrong=each, message="m")
            for number, each in wrong.items()
        ]
        before = set(book.open)
        closed = {f"p{number}/OOMKilled" for number, each in wrong.items() if not each}
        after, fresh = step(book, findings, wanted=wanted, project="desk", now=now)
        opened += len(set(after.open) - (before - closed))
        book = after
        sent += [(passed, each) for each in fresh]
        if restarted:
            book = msgspec.json.decode(msgspec.json.encode(book), type=Book)
    taken = [at for at, each in sent if each.status is not Status.RESOLVED]
    for number, began in enumerate(taken):
        for count, at in enumerate(taken[number:], 1):
            assert count <= BURST + 1 + (at - began) / REFILL
    assert book.opened == opened
    assert len({each.id for _, each in sent}) == len(sent)
    firing = sum(each.status is Status.FIRING for _, each in sent)
    assert firing + book.suppressed == opened
    assert sum(each.suppressed for _, each in sent) + book.held == book.suppressed


def test_what_is_written_at_once_is_what_was_told():
    book, _ = step(
        Book(),
        [Finding("a", "strategy", Reason.OOM_KILLED, wrong=True, message="m")],
        wanted={"a"},
        project="desk",
        now=NOON,
    )
    later, _ = step(book, [], wanted={"a"}, project="desk", now=NOON + REFILL)
    assert durable(book) != durable(Book())
    assert durable(later) == durable(book)
