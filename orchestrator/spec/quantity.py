"""Sizes, cores and lengths of time, as people write them."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

_UNITS = {"": 1, "B": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_MEMORY = re.compile(
    r"([0-9]{1,19}(?:\.[0-9]{1,9})?) ?(?:([KMGT])(?:iB?|B)?|(B?))\Z", re.IGNORECASE
)
_CPU = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)(m?)\Z")
_SECONDS: dict[str, Decimal | int] = {
    "ms": Decimal("0.001"),
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
}
_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?(ms|min|s|m|h|d)", re.IGNORECASE)
_BARS = re.compile(r"([1-9][0-9]{0,4})([smhd])\Z")
_BUILT = re.compile(r"[0-9]+(\.[0-9]+)?\Z")

Number = TypeVar("Number", int, float, timedelta)

MEMORY_FIX = "write it as 512MB, 512Mi or 1GiB"
CPU_FIX = "write cores as 0.5 or 2, or thousandths of a core as 500m"
DURATION_FIX = "write it as 30s, 500ms, 2m or 1h; a bare number is seconds"
BARS_FIX = "write a length that divides one day, such as 30s, 1m, 5m or 1h"


class QuantityError(ValueError):
    """Says what was found, without the field's name: `was '512 megabytes'`; `fix` says what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def memory(value: object, *, least: int = 0, most: int = 1 << 62) -> int:
    """Return bytes. A bare number is bytes; K, KB, Ki and KiB are all 1024 (M, G, T likewise).

    MB is 1024², for that is what PLUGIN_MAX_MEMORY has always meant here.

    Raises:
        QuantityError: no size, not a whole number of bytes, or not within `least` and `most`.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        if value < least:
            message = f"was {value}, and a bare number is bytes: less than {mebibytes(least)}"
            raise QuantityError(
                message, f"write its unit: {MEMORY_FIX.removeprefix('write it as ')}"
            )
        return _within(value, value, least, most, mebibytes)
    match = _MEMORY.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise QuantityError(f"was {shown(value)}", MEMORY_FIX)
    number = Decimal(match[1]) * _UNITS[(match[2] or "").upper()]
    if number != int(number):
        raise QuantityError(f"was {shown(value)}, which is no whole number of bytes", MEMORY_FIX)
    return _within(value, int(number), least, most, mebibytes)


def mebibytes(size: int) -> str:
    """Print bytes exactly, in MiB where that is a whole number; `memory` reads it back."""
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size % unit == 0:
            return f"{size // unit}{name}"
    return f"{size}B"


def cpu(value: object, *, least: float = 0, most: float = 1e6) -> float:
    """Return cores from 0.5, "0.5", 2 or "500m".

    Raises:
        QuantityError: anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        text: object = f"{value:f}" if isinstance(value, float) else str(value)
    else:
        text = value
    match = _CPU.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise QuantityError(f"was {shown(value)}", CPU_FIX)
    cores = float(Decimal(match[1]) / (1000 if match[2] else 1))
    return _within(value, cores, least, most, lambda bound: f"{bound:g} cores")


def duration(
    value: object, *, least: timedelta = timedelta(0), most: timedelta = timedelta(days=366)
) -> timedelta:
    """Return a length of time from 30, "30", "30s", "500ms", "2m", "1h" or "1m30s".

    Raises:
        QuantityError: anything else, or less than a microsecond that is not zero.
    """
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or len(text) > 40:
        raise QuantityError(f"was {shown(value)}", DURATION_FIX)
    text = text.strip()
    if _BUILT.match(text):
        text += "s"
    seconds, at = Decimal(0), 0
    while part := _PART.match(text, at):
        seconds += Decimal(part[1]) * _SECONDS[part[2].lower()]
        at = part.end()
    if at != len(text) or not text or seconds > 366 * 86400:
        raise QuantityError(f"was {shown(value)}", DURATION_FIX)
    length = timedelta(microseconds=int(seconds * 1_000_000))
    if seconds and not length:
        raise QuantityError(f"was {shown(value)}, less than a microsecond", DURATION_FIX)
    return _within(value, length, least, most, printed)


def printed(length: timedelta) -> str:
    """Print a length of time exactly; `duration` reads it back."""
    microseconds = length // timedelta(microseconds=1)
    for unit, name in ((3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms")):
        if microseconds % unit == 0:
            return f"{microseconds // unit}{name}"
    return f"{Decimal(microseconds) / 1_000_000:f}s"


def bars(value: object) -> str:
    """Return the length of bars as it was written, `1s` to `1d`; it divides a day.

    Raises:
        QuantityError: anything else.
    """
    match = _BARS.match(value) if isinstance(value, str) else None
    if match is None:
        raise QuantityError(f"was {shown(value)}", BARS_FIX)
    seconds = int(match[1]) * int(_SECONDS[match[2]])
    if 86400 % seconds:
        raise QuantityError(f"was {shown(value)}, which does not divide one day", BARS_FIX)
    return match[0]


def _within(
    value: object, found: Number, least: Number, most: Number, show: Callable[[Number], str]
) -> Number:
    if found < least:
        fix = f"write at least {show(least)}"
        raise QuantityError(f"was {shown(value)}, less than {show(least)}", fix)
    if found > most:
        raise QuantityError(
            f"was {shown(value)}, more than {show(most)}", f"write at most {show(most)}"
        )
    return found


def shown(value: object) -> str:
    """Print a value the way the file shows it, in one short line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = repr(value) if len(str(value)) <= 60 else f"{str(value)[:57]!r}…"
    return text if isinstance(value, str | int | float) else type(value).__name__
