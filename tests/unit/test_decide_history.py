"""What one state of a project differs from another in, plugin by plugin and in one line."""

from ntp.contract.names import Kind
from orchestrator.decide.history import Turn, compare, line
from tests.worlds.specs import changed, layers_of, spec

SOURCE = spec("ticks", Kind.DATA_SOURCE)
BOLLINGER = spec("bollinger", config={"period": 20})


def state(*specs):
    return {each.name: layers_of(each) for each in specs}


def test_what_came_went_and_changed_is_told_by_name():
    new = changed(BOLLINGER, config={"period": 30})
    found = compare(state(SOURCE, BOLLINGER), state(new, spec("momentum")))

    assert [(each.name, each.kind, each.do, each.what) for each in found] == [
        ("bollinger", "strategy", Turn.CHANGE, "config.period 20 -> 30"),
        ("momentum", "strategy", Turn.ADD, ""),
        ("ticks", "data_source", Turn.REMOVE, ""),
    ]
    assert line(found) == "adds momentum; removes ticks; bollinger: config.period 20 -> 30"


def test_equal_states_differ_in_nothing():
    assert compare(state(SOURCE, BOLLINGER), state(SOURCE, BOLLINGER)) == []
    assert line([]) == ""


def test_a_field_that_only_a_newer_release_knows_is_no_change():
    old = state(BOLLINGER)
    del old["bollinger"]["config"]["pyramid"]
    assert compare(old, state(BOLLINGER)) == []


def test_a_line_stays_a_line_however_many_plugins_differ():
    many = [spec(f"p{number:02}", config={"a": 1}) for number in range(20)]
    other = [changed(each, config={"a": 2}) for each in many]

    assert line(compare({}, state(*many))) == "adds p00, p01, p02 and 17 more"
    assert line(compare(state(*many), state(*other))) == (
        "p00: config.a 1 -> 2; p01: config.a 1 -> 2; p02: config.a 1 -> 2; and 17 more changed"
    )
