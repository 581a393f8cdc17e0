"""Whatever is executed, in whatever order, the books balance to the last digit."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.messages import Side
from ntp.engine.book import Book
from ntp.engine.exact import charge, exact, money, worth

SIDES = st.sampled_from(Side)
SYMBOLS = st.sampled_from(["BTC", "ETH"])
QUANTITIES = st.decimals("1e-8", "1e9", places=8)
PRICES = st.floats(1e-9, 1e9)
EXECUTIONS = st.lists(st.tuples(SIDES, SYMBOLS, QUANTITIES, PRICES, PRICES), max_size=40)


@given(st.decimals("0.01", "1e12", places=8), EXECUTIONS)
def test_equity_is_capital_and_profit_less_fees(capital, executions) -> None:
    book = Book.opened_with(capital)
    realised = Decimal(0)
    for side, symbol, quantity, price, mark in executions:
        fee = charge(worth(quantity, exact(price)), Decimal("0.00075"))
        realised += book.execute(side, symbol, quantity, exact(price), fee)
        book.marks[symbol] = mark
        at_market = sum(worth(p.quantity, exact(book.marks[s])) for s, p in book.positions.items())
        assert book.cash + at_market == book.equity
        assert book.equity == book.capital + book.realised + book.unrealised - book.fees
        assert book.realised == realised
        assert all(position.quantity for position in book.positions.values())


@given(st.lists(st.tuples(SIDES, QUANTITIES, PRICES), min_size=1, max_size=30), PRICES)
def test_what_is_left_at_the_end_has_made_what_came_in_less_what_went_out(executions, last) -> None:
    book = Book.opened_with(Decimal(1000))
    flow = Decimal(0)
    for side, quantity, price in executions:
        traded = worth(quantity, exact(price))
        flow += -traded if side is Side.BUY else traded
        book.execute(side, "BTC", quantity, exact(price), Decimal(0))
    held = book.positions.get("BTC")
    if held is not None:
        traded = worth(abs(held.quantity), exact(last))
        flow += traded if held.leaving is Side.SELL else -traded
        book.execute(held.leaving, "BTC", abs(held.quantity), exact(last), Decimal(0))
    assert not book.positions
    assert (book.realised, book.equity) == (flow, Decimal(1000) + flow)


@given(QUANTITIES, st.integers(1, 20), PRICES, PRICES)
def test_selling_in_parts_realises_what_selling_at_once_does(quantity, parts, bought, sold) -> None:
    at_once, in_parts = Book.opened_with(Decimal(1000)), Book.opened_with(Decimal(1000))
    whole = quantity * parts
    for book in (at_once, in_parts):
        book.execute(Side.BUY, "BTC", whole, exact(bought), Decimal(0))
    at_once.execute(Side.SELL, "BTC", whole, exact(sold), Decimal(0))
    for _ in range(parts):
        in_parts.execute(Side.SELL, "BTC", quantity, exact(sold), Decimal(0))
    # Each part's worth is put on the grid by itself.
    assert abs(at_once.realised - in_parts.realised) <= Decimal("1e-8") * parts
    assert not in_parts.positions


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e6))
def test_numbers_are_taken_as_printed_and_kept_on_their_grid(number, other) -> None:
    assert str(number) == str(float(exact(number)))
    assert money(exact(other)) == Decimal(str(other)).quantize(Decimal("1e-8"))
