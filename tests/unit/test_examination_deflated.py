"""The deflated Sharpe ratio, by the numbers of the paper."""

from math import sqrt

import pytest

from ntp.examination import deflated

SPREAD = [sqrt(1 / 1000), -sqrt(1 / 1000)]
"""Ratios of variance 1/500: 1/2 a year, of 250 days."""
RATIO = 2.5 / sqrt(250)


def test_the_example_of_bailey_and_lopez_de_prado():
    chance = deflated.expected_best(SPREAD, 100)
    assert chance == pytest.approx(0.1132, abs=5e-5)
    assert deflated.probability(RATIO, chance, 1250, -3, 10) == pytest.approx(0.9004, abs=5e-5)


def test_their_second_example_has_normal_returns_and_fewer_tries():
    chance = deflated.expected_best(SPREAD, 88)
    assert deflated.probability(RATIO, chance, 1250, 0, 3) > deflated.probability(RATIO, chance, 1250, -3, 10)  # fmt: skip


def test_one_try_has_no_chance_to_be_the_best_by_luck():
    assert deflated.expected_best([0.1], 1) is None
    assert deflated.expected_best([0.1], 5) is None


def test_returns_that_do_not_vary_have_no_ratio():
    assert deflated.sharpe([0.001] * 50) is None
    assert deflated.sharpe([0.1]) is None
    assert deflated.sharpe([1.0, 2.0, 3.0]) == pytest.approx(2.0)


def test_shape_is_that_of_the_population():
    skewness, kurtosis = deflated.shape([0.0, 0.0, 0.0, 4.0])
    assert skewness == pytest.approx(1.1547, abs=1e-4)
    assert kurtosis == pytest.approx(2.3333, abs=1e-4)
    assert deflated.shape([2.0, 2.0]) == (0.0, 3.0)
