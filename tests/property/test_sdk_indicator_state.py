"""An indicator that was put away and taken up again goes on to the last bit."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp import indicators

PRICES = st.lists(st.floats(1e-3, 1e6), max_size=60)

MAKE: dict[str, Callable[[int], Any]] = {
    "SMA": indicators.SMA,
    "EMA": indicators.EMA,
    "Deviation": indicators.Deviation,
    "Bollinger": indicators.Bollinger,
    "RSI": indicators.RSI,
    "ATR": indicators.ATR,
    "Momentum": indicators.Momentum,
}


def feed(indicator: Any, name: str, prices: list[float]) -> list[Any]:
    if name == "ATR":
        return [indicator.update(price + 1, price - 1, price) for price in prices]
    return [indicator.update(price) for price in prices]


@pytest.mark.parametrize("name", MAKE)
@given(before=PRICES, after=PRICES, period=st.integers(1, 12))
def test_it_goes_on_to_the_last_bit(
    name: str, before: list[float], after: list[float], period: int
) -> None:
    one, other = MAKE[name](period), MAKE[name](period)
    feed(one, name, before)
    other.restore(msgspec.json.decode(msgspec.json.encode(one.snapshot())))
    if hasattr(one, "value"):
        assert (type(other.value), other.value) == (type(one.value), one.value)
    assert feed(other, name, after) == feed(one, name, after)
    assert other.snapshot() == one.snapshot()


@given(before=PRICES, after=PRICES)
def test_a_snapshot_stays_as_it_was(before: list[float], after: list[float]) -> None:
    for name, make in MAKE.items():
        one = make(5)
        feed(one, name, before)
        kept = one.snapshot()
        written = msgspec.json.encode(kept)
        feed(one, name, after)
        assert msgspec.json.encode(kept) == written
