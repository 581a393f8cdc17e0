"""How much was won or lost, as one of few shades that page.css has, for a light and a dark screen."""

from math import ceil, sqrt

_SHADES = 6
"""Of gain and of loss."""


def shade(value: float, most: float) -> str:
    """Return the class of a cell; empty for nothing. `most`: the largest value of the table, without its sign."""
    # By the root, as small ones would all look the same beside one large one.
    number = ceil(sqrt(min(abs(value) / most, 1.0)) * _SHADES) if most else 0
    return f"{'won' if value > 0 else 'lost'}{number}" if number else ""
