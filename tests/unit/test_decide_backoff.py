"""The back-off as a table: cap exact, growth doubled, spread fixed by the seed."""

from datetime import timedelta

import pytest

from orchestrator.decide.backoff import SPREAD, delay

SECOND = timedelta(seconds=1)
CAP = timedelta(seconds=300)


@pytest.mark.parametrize(
    ("failures", "whole_s"),
    [
        (1, 1),
        (2, 2),
        (3, 4),
        (4, 8),
        (8, 128),
        (9, 256),
        (10, 300),
        (11, 300),
        (60, 300),
    ],
)
def test_a_delay_doubles_up_to_the_cap_less_the_spread(failures, whole_s):
    found = delay(failures, first=SECOND, longest=CAP, seed="rsi").total_seconds()
    assert whole_s * (1 - SPREAD) <= found <= whole_s


@pytest.mark.parametrize("failures", [0, -1])
def test_without_failure_there_is_no_delay(failures):
    assert delay(failures, first=SECOND, longest=CAP, seed="rsi") == timedelta(0)


def test_the_same_seed_gives_the_same_delay_and_another_seed_another():
    once = [delay(n, first=SECOND, longest=CAP, seed="rsi") for n in range(1, 12)]
    assert once == [delay(n, first=SECOND, longest=CAP, seed="rsi") for n in range(1, 12)]
    assert once != [delay(n, first=SECOND, longest=CAP, seed="bollinger") for n in range(1, 12)]


def test_each_failure_has_a_spread_of_its_own():
    at_the_cap = {delay(n, first=SECOND, longest=CAP, seed="rsi") for n in range(10, 30)}
    assert len(at_the_cap) == 20


@pytest.mark.timeout(5)
def test_no_count_of_failures_costs_time():
    assert delay(10**9, first=SECOND, longest=CAP, seed="rsi") <= CAP


def test_plugins_that_failed_together_come_back_spread_over_the_whole_range():
    delays = [
        delay(10, first=SECOND, longest=CAP, seed=f"p{n}").total_seconds() for n in range(400)
    ]
    assert max(delays) <= 300
    assert min(delays) < 300 * (1 - SPREAD) * 1.05
    assert max(delays) > 300 * 0.95


def test_a_first_delay_beyond_the_cap_is_the_cap():
    assert delay(1, first=CAP * 2, longest=CAP, seed="x") <= CAP
