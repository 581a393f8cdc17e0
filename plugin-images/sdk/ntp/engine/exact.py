"""Exact decimals: which grid each amount lies on, and which way it is rounded.

Money and quantities lie on a grid of 1e-8 (Bitcoin's own smallest unit), prices on one of 1e-12, because
some coins trade below 1e-8. An execution is never rounded in the trader's favour.
"""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Context, Decimal, InvalidOperation

MONEY_GRID = Decimal("1e-8")
QUANTITY_GRID = Decimal("1e-8")
PRICE_GRID = Decimal("1e-12")
ZERO = Decimal(0)
LIMIT = 1e15
"""Sizes and prices lie below this; what is beyond is a mistake, and would not fit the grids."""

ROOM = Context(prec=60, traps=[InvalidOperation])
"""Wide enough for any sum on the grids, and for a product before it is put on its grid."""


def exact(value: float | str | Decimal) -> Decimal:
    """Return the number that a person sees when `value` is printed: 0.1 becomes 0.1.

    Raises:
        ValueError: not a finite number.
    """
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def money(amount: Decimal) -> Decimal:
    """Round to the grid of money, half to even."""
    return amount.quantize(MONEY_GRID, ROUND_HALF_EVEN, ROOM)


def worth(quantity: Decimal, price: Decimal) -> Decimal:
    """Return quantity times price, on the grid of money."""
    return money(ROOM.multiply(quantity, price))


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return amount * part / whole, on the grid of money."""
    return money(ROOM.divide(ROOM.multiply(amount, part), whole))


def charge(amount: Decimal, rate: Decimal) -> Decimal:
    """Return amount * rate, rounded up to the grid of money."""
    return ROOM.multiply(amount, rate).quantize(MONEY_GRID, ROUND_UP, ROOM)


def quantity(size: float | str | Decimal) -> Decimal:
    """Round a size down to the grid of quantities.

    Raises:
        ValueError: not a finite number.
    """
    return exact(size).quantize(QUANTITY_GRID, ROUND_DOWN, ROOM)


def price_up(price: Decimal) -> Decimal:
    """Round away from a buyer's favour."""
    return _on_price_grid(price, up=True)


def price_down(price: Decimal) -> Decimal:
    """Round away from a seller's favour."""
    return _on_price_grid(price, up=False)


def _on_price_grid(price: Decimal, *, up: bool) -> Decimal:
    # ROUND_UP means away from zero; for a negative price (oil, April 2020) that is downwards.
    away = up == (price > 0)
    rounded = price.quantize(PRICE_GRID, ROUND_UP if away else ROUND_DOWN, ROOM)
    return tidy(rounded)


def tidy(number: Decimal) -> Decimal:
    """Drop trailing zeros, without an exponent: 61837.640000000000 becomes 61837.64."""
    if number == number.to_integral_value():
        return number.quantize(Decimal(1), context=ROOM)
    return number.normalize(ROOM)


def is_amount(value: float) -> bool:
    """Whether this can be a size, or a quote: a number above zero and below LIMIT."""
    return 0 < value < LIMIT
