from decimal import Decimal
from fractions import Fraction

import pytest

from ntp.contract.messages import Side
from ntp.engine.book import Book
from ntp.engine.exact import charge, exact, price_down, price_up, quantity, tidy, worth

D = Decimal


def book(*executions: tuple[Side, str, str]) -> Book:
    opened = Book.opened_with(D(10_000))
    for side, amount, price in executions:
        opened.execute(side, "BTC", D(amount), D(price), D(0))
    return opened


def test_a_long_position_carries_what_was_paid_for_it():
    held = book((Side.BUY, "2", "100"), (Side.BUY, "1", "130")).positions["BTC"]
    assert (held.quantity, held.cost) == (D(3), D(330))


def test_a_sale_takes_out_its_share_of_the_average_cost():
    opened = book((Side.BUY, "2", "100"), (Side.BUY, "1", "130"), (Side.SELL, "1", "140"))
    assert opened.realised == D(30)
    assert (opened.positions["BTC"].quantity, opened.positions["BTC"].cost) == (D(2), D(220))


def test_a_short_position_profits_from_a_fall():
    opened = book((Side.SELL, "2", "100"), (Side.BUY, "2", "90"))
    assert opened.realised == D(20)
    assert opened.positions == {}
    assert opened.cash == D(10_020)


def test_a_short_position_is_built_up_like_a_long_one():
    opened = book((Side.SELL, "2", "100"), (Side.SELL, "1", "130"))
    held = opened.positions["BTC"]
    assert (held.quantity, held.cost, held.average) == (D(-3), D(-330), D(110))
    assert opened.realised == 0


def test_amounts_beyond_the_usual_28_digits_stay_exact():
    amount, price, mark = D("999999999999999.12345678"), D("999999999999.98765432"), 1234.5
    bought = worth(amount, price)
    opened = Book.opened_with(D(10_000))
    opened.execute(Side.BUY, "BTC", amount, price, D("0.00000001"))
    opened.marks["BTC"] = mark
    left = Fraction(10_000) - Fraction(bought) - Fraction("0.00000001")
    valued = Fraction(worth(amount, exact(mark)))
    assert Fraction(opened.cash) == left
    assert Fraction(opened.equity) == left + valued
    assert Fraction(opened.unrealised) == valued - Fraction(bought)


def test_an_execution_across_zero_closes_and_opens():
    opened = book((Side.BUY, "1", "100"), (Side.SELL, "3", "110"))
    assert opened.realised == D(10)
    assert (opened.positions["BTC"].quantity, opened.positions["BTC"].cost) == (D(-2), D(-220))


def test_a_position_without_a_last_price_is_worth_what_was_paid():
    opened = book((Side.BUY, "1", "100"))
    assert (opened.unrealised, opened.equity) == (D(0), D(10_000))
    opened.marks["BTC"] = 90.5
    assert (opened.unrealised, opened.equity) == (D("-9.5"), D("9990.5"))


def test_fees_lie_apart_from_profit():
    opened = Book.opened_with(D(10_000))
    opened.execute(Side.BUY, "BTC", D(1), D(100), D("0.1"))
    assert opened.execute(Side.SELL, "BTC", D(1), D(100), D("0.1")) == 0
    assert (opened.realised, opened.fees, opened.cash) == (D(0), D("0.2"), D("9999.8"))


def test_drawdown_is_a_share_of_the_highest_equity_before_it():
    opened = book((Side.BUY, "100", "100"))
    for price in (120.0, 90.0, 130.0, 120.0):
        opened.marks["BTC"] = price
        opened.note_equity()
    assert opened.peak == D(13_000)
    assert opened.max_drawdown == D("0.25")


def test_capital_put_in_or_taken_out_is_no_profit():
    opened = book((Side.BUY, "1", "100"))
    opened.put_in(D(500))
    opened.put_in(D(-2_000))
    assert opened.capital == D(8_500)
    assert opened.equity == opened.capital + opened.realised + opened.unrealised - opened.fees
    opened.note_equity()
    assert opened.max_drawdown == 0


@pytest.mark.parametrize("capital", ["0", "-1"])
def test_a_book_needs_capital(capital: str):
    with pytest.raises(ValueError, match="give an amount above 0"):
        Book.opened_with(D(capital))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "ten", D("NaN")])
def test_what_is_no_finite_number_is_refused(value: object):
    with pytest.raises(ValueError, match="is not a"):
        exact(value)


def test_rounding_never_favours_the_trader():
    third = D(1) / D(3)
    assert price_up(third) == D("0.333333333334")
    assert price_down(third) == D("0.333333333333")
    assert price_up(-third) == D("-0.333333333333")
    assert price_down(-third) == D("-0.333333333334")
    assert charge(D("0.00001"), D("0.0001")) == D("0.00000001")
    assert quantity(0.123456789) == D("0.12345678")


@pytest.mark.parametrize(
    ("number", "text"),
    [("61837.640000", "61837.64"), ("1E+3", "1000"), ("0E-8", "0"), ("-5.0", "-5")],
)
def test_a_number_is_shown_without_zeros_and_exponent(number: str, text: str):
    assert str(tidy(D(number))) == text
