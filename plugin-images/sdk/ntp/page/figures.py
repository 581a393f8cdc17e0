"""Figures as people read them. A minus sign is as wide as a plus."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from ntp.statistics.assessment import Unit

NONE = "\N{EN DASH}"
MINUS = "\u2212"
MOST_DECIMALS = 8


def amount(value: Decimal) -> str:
    """Return quote currency with two decimals."""
    return f"{value:,.2f}".replace("-0.00", "0.00").replace("-", MINUS)


def gain(value: Decimal) -> str:
    """Return a difference: with its sign, unless it is nothing."""
    text = amount(value)
    return text if text.startswith(MINUS) or not text.strip("0.,") else f"+{text}"


def count(value: int) -> str:
    return f"{value:,}"


def price(value: float | Decimal, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def quantity(value: Decimal) -> str:
    """Return base units with no more decimals than there are, 8 at most."""
    text = f"{value:,.{MOST_DECIMALS}f}"
    return text.rstrip("0").rstrip(".").replace("-", MINUS)


def share(value: float, decimals: int = 2) -> str:
    """Return a share in per cent."""
    return f"{value * 100:,.{decimals}f}".replace("-", MINUS) + "\u00a0%"


def told(value: object, unit: str) -> str:
    """Return a figure's value by its unit (see ntp.statistics.Unit); a dash where it has none.

    `value` may be a number, a time, or either as text, as documents have it.
    """
    if value is None:
        return NONE
    match unit:
        case Unit.MONEY:
            return amount(Decimal(str(value)))
        case Unit.SHARE:
            return share(float(str(value)))
        case Unit.RATIO:
            return price(float(str(value)), 2)
        case Unit.COUNT:
            return price(float(str(value)), 0)
        case Unit.SECONDS:
            return length(float(str(value)))
        case Unit.TIME:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return f"{at:%Y-%m-%d %H:%M:%S}"
        case _:
            return str(value)


def moment(at: float) -> str:
    """Return Unix seconds as a date and time in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def length(seconds: float) -> str:
    """Return a duration in the two units that fit it best."""
    whole = round(seconds)
    for unit, size, below, smaller in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):  # fmt: skip
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {below}"
    return f"{seconds:.1f} s"


def decimals(values: Iterable[float]) -> int:
    """Return how many decimals prices are written with."""
    found = 0
    for value in values:
        _, _, after = f"{value:.{MOST_DECIMALS}f}".rstrip("0").partition(".")
        found = max(found, len(after))
    return found
