"""Figures on their way from the process that runs the plugin to the one that shows them, as JSON.

What arrives is a claim. It is taken only if everything that draws and prints it finds what it relies on:
all figures under their own names, finite numbers, times with a zone, lines with a value for each time.
"""

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from ntp.engine.exact import LIMIT
from ntp.examination.fault import ConfinedError
from ntp.examination.left import claim
from ntp.statistics.assessment import Assessment, Figure, Unit, Value
from ntp.statistics.trips import Trip
from ntp.statistics.words import FIGURES


class _Figure(msgspec.Struct):
    """A `Figure`, with a value as JSON has it: what its key stands for says what it was."""

    key: str
    value: str | float | int | None
    why: str


_TYPES = {**get_type_hints(Assessment), "figures": list[_Figure]}
_MOST = Decimal(LIMIT) ** 3

_Carried: Any = msgspec.defstruct(
    "_Carried", [(each.name, _TYPES[each.name]) for each in fields(Assessment)]
)


def packed(found: Assessment) -> bytes:
    """Return an assessment as JSON."""
    return msgspec.json.encode(found, enc_hook=list)


def unpacked(file: Path) -> Assessment:
    """Return the assessment that `packed` made the content of a file of.

    Raises:
        FileNotFoundError: there is no such file.
        ConfinedError: it made no such content.
    """
    carried = claim(file, _Carried)
    values: dict[str, Any] = {each.name: getattr(carried, each.name) for each in fields(Assessment)}
    try:
        found = Assessment(**{**values, "figures": [_figure(each) for each in carried.figures]})
        _hold(found)
    except (ValueError, ArithmeticError, LookupError) as error:
        raise ConfinedError(f"what it says of its figures cannot be so: {error}"[:200]) from error
    return found


def _figure(one: _Figure) -> Figure:
    told = FIGURES[one.key]
    value = None if one.value is None else _value(told.unit, one.value)
    return Figure(one.key, told.group, told.name, told.unit, value, told.words, one.why, told.higher)  # fmt: skip


def _value(unit: Unit, value: str | float) -> Value:
    match unit:
        case Unit.MONEY:
            return _amount(Decimal(value))
        case Unit.TIME:
            return _moment(datetime.fromisoformat(str(value)))
        case _ if isinstance(value, str):
            return _amount(Decimal(value))
        case _:
            return value


def _hold(found: Assessment) -> None:
    """Raise ValueError where it is not as `ntp.statistics` makes it."""
    if [each.key for each in found.figures] != list(FIGURES):
        raise ValueError("they are not the figures that there are")
    _amount(found.capital)
    for line in (found.line, found.fees, found.exposure, found.rolling):
        if len(line.times) != len(line.values):
            raise ValueError("a line has more times than values, or fewer")
    falls = [each for each in (found.deepest, found.longest) if each is not None]
    for fall in falls:
        _moment(fall.peak_at), _moment(fall.until)
        if not fall.peak > 0:
            raise ValueError("a fall begins at no peak")
    if any(not 1 <= each.month <= 12 or each.year not in found.years for each in found.months):
        raise ValueError("a month lies in no year")
    for trip in found.trips:
        _trip(trip)


def _trip(trip: Trip) -> None:
    for at in (trip.entered, trip.until, trip.exited):
        if at is not None:
            _moment(at)
    amounts = (trip.quantity, trip.left, trip.entry_price, trip.exit_price, trip.entry_worth, trip.profit, trip.fees)  # fmt: skip
    for amount in amounts:
        _amount(amount)


def _amount(value: Decimal) -> Decimal:
    if not value.is_finite() or not isfinite(float(value)) or abs(value) > _MOST:
        raise ValueError("an amount is no finite number")
    return value


def _moment(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time has no zone")
    return at
