"""kill -9 of the controller before and after every single write: the next one makes the same end of it.

The scenario is an apply of four small plugins, other symbols for one that goes on, a change of one,
the removal of one, and down. Who really ran is told by the plugins themselves: each life writes one
line into its own storage.
"""

import sys

import pytest

from tests.integration.controller.every_write_rig import STEPS, Step, Watched

MOST = 110
"""At least the writes of the scenario: how many they are is known only when it has run."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="the process runtime needs Linux"),
    pytest.mark.timeout(300),
]


@pytest.fixture
def watched(tmp_path, cache):
    made = Watched(tmp_path, cache)
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is not None:
            made.process = None
        made.down()
        assert made.processes() == [], "left behind"


@pytest.fixture(scope="session")
def writes(tmp_path_factory, cache):
    """How many writes the scenario has when nobody disturbs it."""
    undisturbed = Watched(tmp_path_factory.mktemp("undisturbed"), cache)
    try:
        undisturbed.serve_counted()
        for step in STEPS:
            assert undisturbed.do(step)
            check(undisturbed, step)
        return int(undisturbed.writes()[-1][0])
    finally:
        undisturbed.process = (
            None if undisturbed.process.poll() is not None else undisturbed.process
        )
        undisturbed.down()


def check(watched: Watched, step: Step) -> None:
    """Everything of the end state of a step that can be seen from outside, and no more than that."""
    assert set(watched.alive()) == step.there
    assert watched.groups() in ({*step.there}, set()), "an orphan group, or one too few"
    assert watched.folders() == step.there
    assert watched.mounts() == []
    assert watched.lives() == step.lives
    if step.text is None:
        assert watched.processes() == []
        return
    plugins = watched.ask("status")["plugins"]
    assert {each["name"] for each in plugins} | {"broker"} == step.there
    assert all(each["ready"] and each["restarts"] == 0 for each in plugins), plugins
    pushed = watched.ask("beats")["beats"]["ticks"]["beat"]["pushed"]
    assert pushed == (None if step.name == "apply" else {"generation": 2, "refusal": ""})


def test_the_rounds_below_reach_the_last_write(writes):
    assert 0 < writes <= MOST


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", range(1, MOST + 1))
def test_killed_at_this_write(watched, writes, number, side):
    if number > writes:
        pytest.skip(f"the scenario has {writes} writes")
    watched.serve_counted(number, side)
    for step in STEPS:
        begun = len(watched.writes())
        if not watched.do(step):
            before, kept = watched.alive(), watched.kept(begun, step)
            print("killed", side, watched.writes()[-1])
            assert kept <= set(before)
            watched.finish(step)
            after = watched.alive()
            assert {name: after.get(name) for name in kept} == {n: before[n] for n in kept}
            check(watched, step)
            return
    # What is noted depends on what comes first: a run may have some writes less than another.
    pytest.skip(f"this run had only {watched.writes()[-1][0]} writes")
