from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.messages import MarketData
from ntp.history import Tape

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def tick(number):
    return MarketData(NOON, "BTCUSDT", 100.0 + number, float(number))


INDEX = st.one_of(st.none(), st.integers(-400, 400))


@given(
    capacity=st.integers(0, 120),
    count=st.integers(0, 400),
    cut=st.builds(slice, INDEX, INDEX, st.one_of(st.none(), st.integers(-9, 9).filter(bool))),
    index=st.integers(-150, 150),
    looks=st.sets(st.integers(0, 400), max_size=5),
)
def test_history_is_the_tail_of_a_list(capacity, count, cut, index, looks):
    tape = Tape(capacity)
    everything = []
    for i in range(count):
        if i in looks:
            expected = everything[max(0, len(everything) - capacity) :]
            assert tape.prices.tolist() == [t.price for t in expected]
        tape.append(tick(i))
        everything.append(tick(i))
    expected = everything[max(0, count - capacity) :]
    assert list(tape) == expected
    assert len(tape) == len(expected)
    assert tape[cut] == expected[cut]
    assert list(reversed(tape)) == expected[::-1]
    assert tape.prices.tolist() == [t.price for t in expected]
    assert tape.volumes.tolist() == [t.volume for t in expected]
    if -len(expected) <= index < len(expected):
        assert tape[index] is not None
        assert tape[index] == expected[index]
        assert tape.index(expected[index]) == expected.index(expected[index])
    else:
        with pytest.raises(IndexError):
            tape[index]


@given(st.integers(1, 40), st.integers(0, 300), st.integers(0, 300))
def test_an_array_of_prices_stays_as_it_was_when_it_was_asked_for(capacity, before, after):
    tape = Tape(capacity)
    for i in range(before):
        tape.append(tick(i))
    prices = tape.prices
    copy = prices.copy()
    for i in range(after):
        tape.append(tick(1000 + i))
        assert tape.prices[-1] == 1100.0 + i
    assert np.array_equal(prices, copy)


def test_a_view_cannot_be_written():
    tape = Tape(3)
    tape.append(tick(1))
    with pytest.raises(ValueError, match="read-only"):
        tape.prices[0] = 5.0
    with pytest.raises(TypeError):
        tape[0] = tick(2)  # type: ignore[index]


def test_memory_is_bounded():
    tape = Tape(1000)
    for i in range(10_000):
        tape.append(tick(i))
    assert len(tape._items) <= 1250
