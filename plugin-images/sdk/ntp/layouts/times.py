"""Times as files write them, and what they are in UTC.

A column has one form, found in its first rows. Both ways of reading, a block at a time and a cell at a
time, go through `TimeForm.block`, so they cannot differ.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ntp.contract.messages import AwareTime

EST = timezone(timedelta(hours=-5), "EST")
"""New York's winter time, all year: HistData's."""
_LIST = list[datetime]
_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Of an epoch: ticks of it in a second."""
_DAY, _CLOCK = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d"
_NUMBER = re.compile(r"\d+(\.\d*)?([eE]\+?\d+)?")
_DAY_MONTH = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}.*")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How a column's cells say a time.

    Attributes:
        label: for people, such as `epoch in ms`, `date`.
        cell: the type as which msgspec takes a cell: text, a number, or a time with a zone.
        unit: of an epoch: s, ms, us or ns; else None.
        written: makes RFC 3339 of a text, its zone being that of the file; None: it is so already.
        zone: of times that name none; None: UTC.
    """

    label: str
    cell: Any
    unit: str | None = None
    written: Callable[[str], str] | None = None
    zone: tzinfo | None = None
    date_only: bool = False

    @property
    def names_zone(self) -> bool:
        """Tell whether each time says by itself what it is in UTC."""
        return self.written is None

    def block(self, cells: Sequence[Any]) -> list[datetime]:
        """Return aware UTC times of cells of the type `cell`.

        Raises:
            ValueError: one of them has another form.
        """
        if self.unit is not None:
            return _epochs(cells, self.unit)
        if self.written is None:
            times = list(cells)
            if any(at.tzinfo is not UTC for at in times):
                times = [at.astimezone(UTC) for at in times]
            return times
        times = msgspec.convert([*map(self.written, cells)], _LIST)
        if any(at.tzinfo is not UTC for at in times):
            raise ValueError("a time names a zone, others do not")
        return times if self.zone is None else _local(times, self.zone)

    def one(self, text: str) -> datetime:
        """Return the time of one cell, in UTC, also where it has another ISO-8601 form.

        Raises:
            ValueError: it is no time.
        """
        try:
            cell = text if self.cell is str else _cell(text, self.cell)
            return self.block([cell])[0]
        except (ValueError, OverflowError):
            if self.unit is not None:
                raise ValueError(f"no epoch in {self.unit}") from None
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            return _local([at.replace(tzinfo=UTC)], self.zone or UTC)[0]
        return at.astimezone(UTC)


def form(texts: Sequence[str], zone: tzinfo | None, given: str | None = None) -> TimeForm:
    """Return the form that most of these cells have.

    `given`: what the user says of it: s, ms, us, ns, or a pattern of strptime such as `%d/%m/%Y`.

    Raises:
        ValueError: there is none, or more than one; says which.
    """
    if given in _UNITS:
        return _epoch(given)
    if given is not None:
        return TimeForm(f"as {given}", str, written=_pattern(given), zone=zone)
    if not texts:
        return replace(_ISO[0][1], zone=zone)
    for pattern, found in _ISO:
        if _most(texts, pattern):
            return found if found.names_zone else replace(found, zone=zone)
    if numbers := _most(texts, _NUMBER):
        return _epoch(_unit(numbers))
    if dates := _most(texts, _DAY_MONTH):
        return replace(_day_month(dates), zone=zone)
    for text in texts:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no time that is known here") from None
    return TimeForm("ISO 8601", str, written=_iso, zone=zone)


def _most(texts: Sequence[str], pattern: re.Pattern[str]) -> list[str]:
    """Return the texts that match, where they are more than half: some rows may be bad."""
    found = [text for text in texts if pattern.fullmatch(text)]
    return found if 2 * len(found) > len(texts) else []


def zone_of(name: str) -> tzinfo:
    """Return a zone by name: UTC, EST (UTC-5 all year), America/New_York, +02:00.

    Raises:
        ValueError: there is none of that name.
    """
    if name.upper() in {"UTC", "Z"}:
        return UTC
    if name.upper() == "EST":
        return EST
    if offset := _OFFSET.fullmatch(name):
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-span if offset[1] == "-" else span)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no zone {name!r} here") from None


def _cell(text: str, kind: Any) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        if kind not in (int, float):
            raise
        return kind(float(text))


def _epoch(unit: str) -> TimeForm:
    return TimeForm(f"epoch in {unit}", float if unit == "s" else int, unit=unit)


def _epochs(cells: Sequence[Any], unit: str) -> list[datetime]:
    """Return times of numbers; what is finer than a microsecond is cut off."""
    if unit == "ns":
        cells = [cell // 1000 for cell in cells]
        unit = "us"
    scale = _UNITS[unit]
    seconds = cells if scale == 1 else [cell / scale for cell in cells]
    return msgspec.convert(list(seconds), _LIST, strict=False)


def _unit(texts: Sequence[str]) -> str:
    """Tell seconds from ms, us and ns by their size: of the years 1973 to 5138 no two are alike."""
    (found, count), *_ = Counter(_sized(float(text)) for text in texts).most_common(1)
    if found is not None and 2 * count > len(texts):
        return found
    raise ValueError(
        f"numbers such as {texts[0][:40]} are no epoch of one unit; say which: s, ms, us or ns"
    )


def _sized(value: float) -> str | None:
    for unit, scale in _UNITS.items():
        if 1e8 * scale <= value < 1e11 * scale:
            return unit
    return None


def _local(times: list[datetime], zone: tzinfo) -> list[datetime]:
    """Take times that were read as UTC to be of `zone`; of an hour that comes twice, the first."""
    if zone is UTC or not times:
        return times
    # Within hours a zone seldom changes: one offset serves a block whose ends have the same.
    first, last = min(times), max(times)
    if last - first < timedelta(days=20) and (offset := _offset(first, zone)) == _offset(
        last, zone
    ):
        return [at - offset for at in times]
    return [at.replace(tzinfo=zone).astimezone(UTC) for at in times]


def _offset(at: datetime, zone: tzinfo) -> timedelta:
    return at.replace(tzinfo=zone).utcoffset() or timedelta(0)


def _pattern(pattern: str) -> Callable[[str], str]:
    def written(text: str) -> str:
        return datetime.strptime(text, pattern).replace(tzinfo=UTC).isoformat()

    return written


def _day_month(texts: Sequence[str]) -> TimeForm:
    parts = [re.split(r"[/.-]", text, maxsplit=2) for text in texts]
    day_first = any(int(part[0]) > 12 for part in parts)
    month_first = any(int(part[1]) > 12 for part in parts)
    if day_first == month_first:
        raise ValueError(f"{texts[0][:40]!r} may be day/month or month/day")
    sign = texts[0][len(parts[0][0])]
    date = sign.join(("%d", "%m", "%Y") if day_first else ("%m", "%d", "%Y"))
    clock = re.fullmatch(r"\d{4}(?P<gap>[ T])\d\d:\d\d(?P<s>:\d\d)?(?P<f>\.\d{1,6})?", parts[0][2])
    if clock is None and len(parts[0][2]) > 4:
        raise ValueError(f"{texts[0][:40]!r} is no time that is known here")
    tail = ""
    if clock is not None:
        tail = f"{clock['gap']}%H:%M{':%S' if clock['s'] else ''}{'.%f' if clock['f'] else ''}"
    pattern = date + tail
    return TimeForm(f"as {pattern}", str, written=_pattern(pattern), date_only=not tail)


def _iso(text: str) -> str:
    at = datetime.fromisoformat(text)
    if at.tzinfo is not None:
        return at.astimezone(UTC).isoformat()
    return at.replace(tzinfo=UTC).isoformat()


def _dashed(text: str) -> str:
    return f"{text[:4]}-{text[5:7]}-{text[8:]}"


def _compact(text: str) -> str:
    """Read 20120201 000000123, and the same without its milliseconds, gap or clock."""
    if not text.replace(" ", "").isdigit():
        raise ValueError("no digits")
    clock = text[8:].lstrip() or "000000"
    fraction = f".{clock[6:]}" if len(clock) > 6 else ""
    day = f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    return f"{day}T{clock[:2]}:{clock[2:4]}:{clock[4:6]}{fraction}Z"


def _forms() -> list[tuple[re.Pattern[str], TimeForm]]:
    second = rf"{_DAY}[T ]{_CLOCK}:\d\d(\.\d+)?"
    slashed = r"\d{4}[./]\d\d[./]\d\d"
    compact = r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])"
    return [
        (
            re.compile(rf"{second}(Z|[+-]\d\d:?\d\d)"),
            TimeForm("ISO 8601 with its zone", AwareTime),
        ),
        (re.compile(second), TimeForm("ISO 8601", str, written="{}Z".format)),
        (re.compile(rf"{_DAY}[T ]{_CLOCK}"), TimeForm("ISO 8601", str, written="{}:00Z".format)),
        (
            re.compile(_DAY),
            TimeForm("date", str, written="{}T00:00:00Z".format, date_only=True),
        ),
        (
            re.compile(rf"{slashed} {_CLOCK}:\d\d(\.\d+)?"),
            TimeForm("date and time", str, written=lambda text: f"{_dashed(text)}Z"),
        ),
        (
            re.compile(rf"{slashed} {_CLOCK}"),
            TimeForm("date and time", str, written=lambda text: f"{_dashed(text)}:00Z"),
        ),
        (
            re.compile(slashed),
            TimeForm(
                "date", str, written=lambda text: f"{_dashed(text)}T00:00:00Z", date_only=True
            ),
        ),
        (
            re.compile(rf"{compact} ?\d{{6}}(\d{{3}})?"),
            TimeForm("YYYYMMDD HHMMSS", str, written=_compact),
        ),
        (re.compile(compact), TimeForm("YYYYMMDD", str, written=_compact, date_only=True)),
    ]


_ISO = _forms()
