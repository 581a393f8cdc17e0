"""A curve that passes over ticks says what one says that looks at each of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ntp import Fill, MarketData
from ntp.contract.messages import FillReason, Side
from ntp.statistics import EquityCurve, assess
from ntp.ticks import Ticks

NOON = datetime(2024, 8, 8, 23, 59, 30, tzinfo=UTC)
STEPS = st.lists(
    st.tuples(st.sampled_from([0.5, 1, 7, 90]), st.floats(-3, 3), st.sampled_from("---bs")),
    min_size=2,
    max_size=150,
)
HELD = [(7, 1.25 if at % 5 else -4.75, "b" if at == 2 else "-") for at in range(900)]
"""One position over ends of minutes and hours that lie within a piece; all of it is exact as floats too."""


def fill_of(number, tick, side):
    return Fill(
        f"f{number}", f"s{number}", "e", "test", tick.symbol, side, Decimal(2), Decimal(str(tick.price)),
        Decimal("0.125"), Decimal(0), FillReason.SIGNAL, tick.timestamp, tick.id,
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(STEPS)
@example(HELD)
@example([(later, -move, act) for later, move, act in HELD])
def test_ticks_that_are_passed_over_change_nothing(steps):
    at, price, pieces, fills = NOON, 100.0, [[]], []
    for number, (later, move, act) in enumerate(steps):
        at, price = at + timedelta(seconds=later), max(price + round(move, 2), 1.0)
        pieces[-1].append(MarketData(at, "BTC", price, 1.0, id=str(number)))
        if act != "-":
            side = Side.BUY if act == "b" else Side.SELL
            fills.append((len(pieces) - 1, fill_of(number, pieces[-1][-1], side)))
            pieces.append([])
    slow, quick = EquityCurve(Decimal(10_000), most=16), EquityCurve(Decimal(10_000), most=16)
    for number, piece in enumerate(pieces):
        if piece:
            quick.add_all(Ticks(piece), 0, len(piece))
        for tick in piece:
            slow.add(tick)
        for which, fill in fills:
            if which == number:
                slow.fill(fill)
                quick.fill(fill)
    given_fills = [fill for _, fill in fills]
    one, other = assess(given_fills, slow), assess(given_fills, quick)
    assert (one.ticks, one.fills, one.start, one.end) == (other.ticks, other.fills, other.start, other.end)  # fmt: skip
    assert one.returns == pytest.approx(other.returns, rel=1e-9, abs=1e-12)
    assert list(one.line.times) == list(other.line.times)
    assert list(one.line.values) == pytest.approx(list(other.line.values), rel=1e-12)
    for mine, theirs in zip(one.figures, other.figures, strict=True):
        if isinstance(mine.value, float) and mine.value is not None:
            assert theirs.value == pytest.approx(mine.value, rel=1e-6, abs=1e-9), mine.key
        else:
            assert theirs.value == mine.value, mine.key
