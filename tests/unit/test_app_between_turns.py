"""Who cannot lead lets others try, for longer each time."""

from orchestrator.app.between_turns import LONGEST, STEADY_S, Pauses


def test_turns_that_fail_at_once_are_further_and_further_apart_up_to_a_limit():
    pauses = Pauses("one")
    waits = [pauses.after(0.2) for _ in range(12)]
    assert waits[0] <= 2.0
    assert waits[4] > 4 * waits[0]
    assert waits[-1] > 0.4 * LONGEST.total_seconds()
    assert max(waits) <= 1.5 * LONGEST.total_seconds()


def test_a_turn_that_lasted_is_followed_by_the_shortest_pause():
    pauses = Pauses("one")
    first = pauses.after(0.0)
    for _ in range(5):
        pauses.after(0.0)
    assert pauses.after(STEADY_S) == first


def test_two_that_fail_together_do_not_ask_together():
    assert Pauses("one").after(0.0) != Pauses("two").after(0.0)
