"""A curve in bounded memory says what the engine's book says at every tick, and loses no extreme."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ntp.contract.launch import Trading
from ntp.contract.messages import MarketData, SignalType, TradingSignal
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.statistics import EquityCurve, assess
from ntp.statistics.envelope import Envelope

START = datetime(2024, 8, 8, 23, 59, 30, tzinfo=UTC)
PRICES = st.floats(1, 1000, allow_nan=False).map(lambda price: round(price, 2))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["BTC", "ETH"]),
        PRICES,
        st.sampled_from(["", "", "BUY", "SELL"]),
        st.sampled_from([0, 0.001, 1, 40, 3600, 50_000]),
    ),
    min_size=1,
    max_size=80,
)


# The last tick comes at the moment of the one before and reaches nothing that was not there.
AT_ONCE = [
    ("BTC", price, kind, 0)
    for price, kind in [
        (1.0, "SELL"), (920.81, ""), (1.0, ""), (2.0, ""), (1.0, ""), (1.12, ""), (1.0, ""),
        (1.31, ""), (1.0, "BUY"), (2.0, ""), (1.0, ""), (3.0, ""), (1.0, ""), (2.0, ""),
    ]
]  # fmt: skip


@given(STEPS, st.booleans(), st.integers(16, 40))
@example(AT_ONCE, True, 16)
def test_a_curve_is_the_engines_book_at_every_tick(steps, short, most):
    desk = Desk("paper", "alpha", Trading(capital=Decimal(10_000), short=short), Costs.of({}))
    curve = EquityCurve(Decimal(10_000), most=most)
    at, peak, fall, fills, closes = START, 10_000.0, 0.0, [], {}
    for number, (symbol, price, kind, pause) in enumerate(steps):
        at += timedelta(seconds=pause)
        tick = MarketData(at, symbol, price, 1.0, id=str(number))
        marked = Decimal(str(price)) - Decimal(str(desk.book.marks.get(symbol, price)))
        position = desk.book.positions.get(symbol)
        before = float(desk.book.equity + (position.quantity * marked if position else 0))
        change = desk.tick(tick)
        curve.add(tick)
        assert math.isclose(curve.equity, before, rel_tol=1e-12)
        # A fill comes after its tick: there is an equity between the two.
        peak, fall = max(peak, before), max(fall, 1 - before / max(peak, before))
        for one in change.fills if change else ():
            curve.fill(one)
            fills.append(one)
        after = float(desk.book.equity)
        peak, fall = max(peak, after), max(fall, 1 - after / max(peak, after))
        closes[at.date()] = after
        assert math.isclose(curve.equity, after, rel_tol=1e-12)
        assert curve.book.equity == desk.book.equity
        if kind:
            wish = TradingSignal(symbol, SignalType(kind), 0.5, price, size=1.5)
            desk.signal(f"alpha:{number}", wish, at)

    found = assess(fills, curve)

    assert math.isclose(found["max_drawdown"], fall, rel_tol=1e-9, abs_tol=1e-9)
    assert found["equity"] == desk.book.equity
    assert found["fees"] == desk.book.fees
    assert len(found.line) <= 2 * most + 8
    told = [equity for _, equity in curve.days()]
    assert all(math.isclose(a, b, rel_tol=1e-12) for a, b in zip(told, closes.values(), strict=True))  # fmt: skip
    assert found.line.values[0] == 10_000
    assert math.isclose(found.line.values[-1], float(desk.book.equity), rel_tol=1e-12)
    assert list(found.line.times) == sorted(found.line.times)
    for figure in found.figures:
        assert (figure.value is None) == bool(figure.why)
        assert not isinstance(figure.value, float) or math.isfinite(figure.value)


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 0.001, 0.5, 60, 86_400]), st.floats(-1e6, 1e6)),
        min_size=1, max_size=400,
    ),
    st.integers(16, 60),
)  # fmt: skip
@settings(max_examples=200)
def test_a_line_is_bounded_and_keeps_first_last_and_extremes(steps, most):
    line, at = Envelope(most), START
    given_ = []
    for pause, value in steps:
        at += timedelta(seconds=pause)
        line.add(at, value)
        given_.append((at.timestamp(), value))

    times, values = line.points()
    kept = list(zip(times, values, strict=True))

    assert len(kept) <= most + 8
    assert (kept[0], kept[-1]) == (given_[0], given_[-1])
    assert list(times) == sorted(times)
    assert set(kept) <= set(given_)
    assert (min(values), max(values)) == (min(v for _, v in given_), max(v for _, v in given_))
    if len(given_) <= most:
        assert kept == [one for at, one in enumerate(given_) if not at or one != given_[at - 1]]


def test_a_long_line_has_points_all_along():
    line = Envelope(1000)
    for second in range(200_000):
        line.add(START + timedelta(seconds=second), math.sin(second / 5000) + (second == 77_777))

    times, values = line.points()

    assert 250 <= len(times) <= 1008
    assert max(b - a for a, b in pairwise(times)) <= 1024
    assert max(values) == math.sin(77_777 / 5000) + 1
