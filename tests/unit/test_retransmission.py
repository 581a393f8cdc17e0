"""The timer of RFC 6298, section 2: by its own formulae."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp.retransmission import FIRST, SHORTEST, RetransmissionTimer

LONGEST = 5.0


def test_it_waits_by_what_answers_took():
    timer = RetransmissionTimer(LONGEST)
    assert timer.timeout == FIRST
    timer.answered(0.4)
    assert timer.timeout == pytest.approx(0.4 + 4 * 0.2)
    timer.answered(0.8)  # RTTVAR = 3/4 * 0.2 + 1/4 * 0.4, SRTT = 7/8 * 0.4 + 1/8 * 0.8
    assert timer.timeout == pytest.approx(0.45 + 4 * 0.25)


def test_silence_makes_it_wait_twice_as_long_until_something_is_answered():
    timer = RetransmissionTimer(LONGEST)
    waits = []
    for _ in range(4):
        waits.append(timer.timeout)
        timer.silent()
    assert waits == [1.0, 2.0, 4.0, LONGEST]
    timer.answered(0.001)
    assert timer.timeout == SHORTEST


@given(st.lists(st.floats(0, 1e6)), st.floats(0.001, 100))
def test_it_never_waits_longer_than_it_may_and_never_not_at_all(answers, longest):
    timer = RetransmissionTimer(longest)
    for took in answers:
        timer.answered(took)
        assert min(SHORTEST, longest) <= timer.timeout <= longest
