"""What must hold of plans whatever happens: interrupted, blind, crashed, at any clock."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ntp.contract.names import Kind
from orchestrator.decide.actions import Push, Remove, Start, Stop, Update, Wait
from orchestrator.decide.state import Phase
from tests.worlds.simulation import Simulation
from tests.worlds.specs import MIB, changed, desired, hashes_of, seconds, spec

NAMES = ("binance", "bollinger", "momentum", "paper", "rsi")
KINDS = {
    "binance": Kind.DATA_SOURCE,
    "bollinger": Kind.STRATEGY,
    "momentum": Kind.STRATEGY,
    "paper": Kind.EXECUTOR,
    "rsi": Kind.INDICATOR,
}


def entry(name, period, memory, symbols):
    inputs = {
        "binance": (),
        "rsi": ("binance",),
        "bollinger": ("binance", "rsi"),
        "momentum": ("binance",),
        "paper": ("bollinger", "momentum", "binance"),
    }
    config = {"period": period}
    if KINDS[name] is Kind.DATA_SOURCE:
        # Most edits of it change the symbols and nothing else.
        config = {"symbols": list("ABC"[:symbols]), "depth": period // 3}
    return spec(
        name,
        KINDS[name],
        inputs=inputs[name],
        config=config,
        memory=memory * MIB,
    )


worlds = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.integers(1, 3), st.sampled_from([256, 512]), st.integers(0, 3)),
    max_size=5,
).map(lambda chosen: desired(*(entry(name, *values) for name, values in chosen.items())))

happenings = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), worlds),
        st.tuples(st.just("step"), st.integers(0, 5)),
        st.tuples(st.just("pass"), st.sampled_from([0, 1, 7, 65, 400])),
        st.tuples(st.just("crash"), st.sampled_from(NAMES), st.sampled_from([0, 1, 137])),
        st.tuples(st.just("permanent"), st.sampled_from(NAMES)),
        st.tuples(st.just("silent"), st.sampled_from(NAMES)),
        st.tuples(st.just("heard"), st.sampled_from(NAMES)),
        st.tuples(st.just("stop"), st.sampled_from(NAMES)),
        st.tuples(st.just("restart"), st.sampled_from(NAMES)),
        st.tuples(st.sampled_from(["loses", "refuses", "takes"]), st.just("binance")),
        st.tuples(st.just("deaf")),
        st.tuples(st.just("hears")),
        st.tuples(st.just("half"), st.sampled_from(NAMES)),
        st.tuples(st.just("successor")),
    ),
    max_size=25,
)


def happen(world, what):  # noqa: C901 - a table of what can happen
    match what:
        case ("apply", wanted):
            world.apply(wanted)
        case ("step", prefix):
            world.step(prefix=prefix)
        case ("pass", length):
            world.pass_time(seconds(length))
        case ("crash", name, code) if name in world.instances:
            world.end(name, code=code, oom=code == 137)
        case ("permanent", name) if name in world.instances:
            world.end(name, code=2, permanent=True)
        case ("silent", name):
            world.silent.add(name)
        case ("heard", name):
            world.silent.discard(name)
        case ("loses", name):
            world.lossy.add(name)
        case ("refuses", name):
            world.refusing.add(name)
        case ("takes", name):
            world.lossy.discard(name)
            world.refusing.discard(name)
        case ("stop", name) if name in world.records and name in world.desired.plugins:
            world.stop_by_hand(name)
        case ("restart", name) if name in world.records and name in world.desired.plugins:
            world.restart(name)
        case ("deaf",):
            world.listening_since = None
        case ("hears",):
            world.listening_since = world.now
        case ("successor",):
            world.successor()
        case ("half", name) if name in world.instances:
            instance = world.instances[name]
            if instance.phase is Phase.EXITED:
                world.instances[name] = changed(instance, phase=Phase.CREATED, exit=None)
        case _:
            pass


@given(worlds, happenings)
@settings(max_examples=150, deadline=None)
def test_whatever_happened_it_converges_and_then_plans_nothing(first, events):
    world = Simulation(first)
    for what in events:
        happen(world, what)
        names = [action.name for action in world.plan()]
        assert len(names) == len(set(names)), "more than one action for a plugin"
        assert world.plan(blind=True) == []
    world.silent.clear()
    world.listening_since = world.listening_since or world.now
    world.remember()
    for name in list(world.desired.plugins):
        end = world.records[name].last_exit
        held = world.records[name].stopped_by_hand or (end is not None and end.permanent)
        if held or world.records[name].gave_up:
            world.restart(name)
    world.settle()
    assert [a for a in world.plan() if not isinstance(a, Wait)] == []
    assert set(world.instances) == set(world.desired.plugins)
    for name, instance in world.instances.items():
        assert instance.phase is Phase.RUNNING
        record = world.records[name]
        if record.failed_generation != record.generation:
            wanted = hashes_of(world.desired)[name]
            limits = (
                record.updated_resources
                if record.updated == instance.id
                else instance.hashes.resources
            )
            runs = world.runs[instance.id]
            assert (runs, limits) == (wanted.config, wanted.resources), "what really runs"


@given(worlds, happenings, st.sets(st.sampled_from([*NAMES, "nobody"])))
@settings(max_examples=150, deadline=None)
def test_a_plan_for_some_is_their_part_of_the_plan_for_all(first, events, some):
    world = Simulation(first)
    for what in events:
        happen(world, what)
    assert world.plan(only=some) == [a for a in world.plan() if a.name in some]


@given(worlds, happenings, st.integers(1, 5000))
@settings(max_examples=150, deadline=None)
def test_a_later_clock_never_takes_a_start_back(first, events, later):
    world = Simulation(first)
    for what in events:
        happen(world, what)
    starts = {a.name for a in world.plan() if isinstance(a, Start)}
    world.now += seconds(later)
    then = {a.name: a for a in world.plan()}
    fell_back = {
        name
        for name in starts
        if isinstance(then.get(name), Start)
        and then[name].generation != world.records[name].generation
    }
    assert starts - fell_back <= {name for name, a in then.items() if isinstance(a, Start)}


@given(worlds, happenings, st.integers(1, 5000))
@settings(max_examples=150, deadline=None)
def test_time_alone_stops_nobody_when_all_are_silent_or_we_are_deaf(first, events, later):
    world = Simulation(first)
    for what in events:
        happen(world, what)
    world.remember()
    before = {a.name for a in world.plan() if isinstance(a, Stop | Remove | Update | Push)}
    world.listening_since = None
    world.now += seconds(later)
    after = {a.name for a in world.plan() if isinstance(a, Stop | Remove | Update | Push)}
    refused_then = {n for n in after - before if world.records[n].refusal}
    assert after - refused_then <= before


@given(worlds, happenings)
@settings(max_examples=150, deadline=None)
def test_a_new_controller_keeps_the_counts_and_what_was_said_by_hand(first, events):
    def by_hand_and_counted():
        return {
            name: (each.restarts, each.failures, each.gave_up, each.stopped_by_hand, each.replace)
            for name, each in world.records.items()
        }

    def ends_lives():
        return {a.name for a in world.plan() if isinstance(a, Stop | Remove)}

    world = Simulation(first)
    for what in events:
        happen(world, what)
    world.remember()
    kept, ending = by_hand_and_counted(), ends_lives()
    world.successor()
    world.remember()
    assert by_hand_and_counted() == kept
    assert ends_lives() <= ending, "nothing that runs is stopped because its controller died"


symbols = st.lists(st.sampled_from("ABCD"), min_size=1, max_size=4, unique=True)


@given(st.lists(symbols, min_size=1, max_size=6), st.data())
@settings(max_examples=150, deadline=None)
def test_edits_of_symbols_cost_no_life_whenever_the_controller_dies_or_a_message_is_lost(
    edits, data
):
    def wanted(chosen):
        source = spec("binance", Kind.DATA_SOURCE, config={"symbols": chosen})
        return desired(source, spec("bollinger", inputs=["binance"]))

    world = Simulation(wanted(["A"]))
    world.settle()
    lives = {name: each.id for name, each in world.instances.items()}
    for chosen in edits:
        world.apply(wanted(chosen))
        for lost in data.draw(st.lists(st.booleans(), max_size=3)):
            (world.lossy.add if lost else world.lossy.discard)("binance")
            world.step(prefix=data.draw(st.sampled_from([0, 1])))
    world.lossy.clear()
    world.settle()
    assert {name: each.id for name, each in world.instances.items()} == lives
    assert world.runs[lives["binance"]] == hashes_of(world.desired)["binance"].config
    assert world.plan() == []


@given(st.integers(1, 30), st.integers(0, 50))
def test_failures_in_a_row_count_up_and_a_stable_life_wipes_them_out(crashes, extra):
    world = Simulation(desired(spec("bollinger")))
    for count in range(1, crashes + 1):
        world.step()
        while world.instances["bollinger"].phase is not Phase.RUNNING:
            waits = [a.until for a in world.plan() if isinstance(a, Wait)]
            if waits == [None]:
                assert world.records["bollinger"].gave_up
                assert world.records["bollinger"].failures == world.policy.give_up_after
                return
            world.now = max([world.now, *(until for until in waits if until)])
            world.step()
        world.end("bollinger", code=1)
        world.remember()
        assert world.records["bollinger"].failures == count
    world.records["bollinger"] = changed(world.records["bollinger"], gave_up=False, not_before=None)
    world.step()
    world.now += world.policy.stable + timedelta(seconds=extra)
    world.end("bollinger", code=1)
    world.remember()
    assert world.records["bollinger"].failures == 0
    assert [type(a) for a in world.plan()] == [Start], "restarted at once"
