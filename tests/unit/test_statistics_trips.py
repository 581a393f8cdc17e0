"""Round trips: what belongs to one, what it brought, and that all of them are the book's sums."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.messages import Fill, FillReason, Side
from ntp.engine.book import Book
from ntp.statistics import round_trips

START = datetime(2024, 8, 8, tzinfo=UTC)
BUY, SELL = Side.BUY, Side.SELL


def fills(*rows, symbol="BTC"):
    """Rows of side, quantity, price and fee, a second apart."""
    return [
        Fill(str(at), "", "paper", "alpha", symbol, side, Decimal(quantity), Decimal(price), Decimal(fee),
             Decimal(0), FillReason.SIGNAL, START + timedelta(seconds=at), "")
        for at, (side, quantity, price, fee) in enumerate(rows)
    ]  # fmt: skip


def told(trips):
    return [
        (trip.side, trip.quantity, trip.entry_price, trip.exit_price, trip.profit, trip.fees, trip.open)
        for trip in trips
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "marks", "expected"),
    [
        pytest.param(
            [(BUY, 2, 100, 1), (SELL, 2, 110, 1)], {},
            [(BUY, 2, 100, 110, 20, 2, False)], id="in and out",
        ),
        pytest.param(
            [(SELL, 2, 100, 1), (BUY, 2, 110, 1)], {},
            [(SELL, 2, 100, 110, -20, 2, False)], id="short",
        ),
        pytest.param(
            # Average cost: 3 units at 110; FIFO would have sold the one at 90 first.
            [(BUY, 1, 90, 1), (BUY, 2, 120, 2), (SELL, 1, 130, 1), (SELL, 2, 100, 2)], {},
            [(BUY, 3, 110, 110, 0, 6, False)], id="in parts, one trip by average cost",
        ),
        pytest.param(
            [(BUY, 1, 100, 1), (SELL, 3, 120, 3), (BUY, 2, 110, 2)], {},
            [(BUY, 1, 100, 120, 20, 2, False), (SELL, 2, 120, 110, 20, 4, False)],
            id="a reversal ends one and begins the next, and its fee is shared",
        ),
        pytest.param(
            [(BUY, 4, 100, 1), (SELL, 1, 120, 1)], {"BTC": Decimal(108)},
            # 20 realised, 24 unrealised; on average left at (120 + 3 * 108) / 4.
            [(BUY, 4, 100, 111, 44, 2, True)], id="open at the end, at the last price",
        ),
        pytest.param(
            [(SELL, 4, 100, 1), (BUY, 1, 80, 1)], {"BTC": Decimal(92)},
            [(SELL, 4, 100, 89, 44, 2, True)], id="an open short",
        ),
        pytest.param(
            [(BUY, 4, 100, 1)], {}, [(BUY, 4, 100, 100, 0, 1, True)], id="nobody knows a price: at cost",
        ),
        pytest.param([], {}, [], id="nothing"),
    ],
)  # fmt: skip
def test_a_trip_goes_from_flat_to_flat(rows, marks, expected):
    assert told(round_trips(fills(*rows), marks)) == expected


def test_a_trip_knows_when_it_was_and_why_it_was_left():
    first, second = fills((BUY, 2, 100, 1), (SELL, 2, 90, 1))
    stopped = Fill(**{name: getattr(second, name) for name in second.__struct_fields__} | {"reason": FillReason.STOP_LOSS})  # fmt: skip

    [trip] = round_trips([first, stopped], {})

    assert (trip.entered, trip.exited, trip.reason) == (first.time, second.time, FillReason.STOP_LOSS)  # fmt: skip
    assert (trip.net, trip.share) == (-22, pytest.approx(-0.11))


def test_an_open_trip_lasts_to_the_end_of_the_data():
    end = START + timedelta(days=3)
    [trip] = round_trips(fills((BUY, 1, 100, 0)), {}, end)

    assert (trip.exited, trip.until, trip.length) == (None, end, timedelta(days=3))


FILLS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.sampled_from(["BTC", "ETH"]),
        st.decimals("1e-8", "1e4", places=8),
        st.decimals("0.01", "1e5", places=4),
        st.decimals(0, 10, places=8),
    ),
    max_size=40,
)


@given(FILLS, st.decimals("0.01", "1e5", places=4))
def test_all_trips_together_are_the_books_own_sums(rows, mark):
    made, book = [], Book.opened_with(Decimal(1))
    for side, symbol, quantity, price, fee in rows:
        made += fills((side, quantity, price, fee), symbol=symbol)
        book.execute(side, symbol, quantity, price, fee)
    marks = {"BTC": mark, "ETH": mark}
    book.marks = {symbol: float(mark) for symbol in marks}

    trips = round_trips(made, marks)

    assert sum(trip.profit for trip in trips) == book.realised + book.unrealised
    assert sum(trip.fees for trip in trips) == book.fees
    assert {trip.symbol: trip.left for trip in trips if trip.open} == {
        symbol: abs(position.quantity) for symbol, position in book.positions.items()
    }
    assert sum(trip.left for trip in trips if not trip.open) == 0
    # By what was paid and got, a trip's prices say the same as its profit; each is on its grid.
    for trip in trips:
        sign = 1 if trip.side is BUY else -1
        told = sign * (trip.exit_price - trip.entry_price) * trip.quantity
        assert abs(told - trip.profit) <= Decimal("1e-8") * (trip.quantity + 2)
