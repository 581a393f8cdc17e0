"""The document of a run, `report.json`, and what moved between two of them.

A document has a version: fields are added, never renamed or removed under the same one. Money is text, as
in every document of ntp: exact decimals, which readers of JSON would make floats of. Shares are of 1, lengths
are seconds, times ISO 8601 in UTC. docs/json.md describes every field (REPORT).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from ntp.statistics.assessment import Assessment, Figure, Value
from ntp.statistics.trips import Trip
from ntp.statistics.words import FIGURES

VERSION = 1


def document(
    assessments: Sequence[Assessment],
    *,
    plugin: Mapping[str, Any] | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
    data: Mapping[str, Any] | None = None,
    made: datetime | None = None,
) -> dict[str, Any]:
    """Return a run as JSON has it.

    Args:
        assessments: one a strategy.
        plugin: what was tested, such as name, version and config; as it is.
        checks: what else was examined, as it is; each with at least `name` and `passed`, which `compare` reads.
        data: of which data, such as files, digests and rows; as it is.
        made: when; None: it does not say, and the same run gives the same bytes.
    """
    return {
        "version": VERSION,
        "made": _json(made),
        "plugin": dict(plugin or {}),
        "data": dict(data or {}),
        "checks": [dict(check) for check in checks],
        "strategies": [_strategy(each) for each in assessments],
    }


def _strategy(found: Assessment) -> dict[str, Any]:
    period = found.period
    return {
        "strategy": found.strategy,
        "start": _json(found.start),
        "end": _json(found.end),
        "ticks": found.ticks,
        "period": {"name": period.name, "seconds": period.seconds, "per_year": period.per_year, "rule": period.words},
        "figures": {figure.key: _figure(figure) for figure in found.figures},
        "months": [{"year": m.year, "month": m.month, "return": m.share} for m in found.months],
        "years": [{"year": year, "return": share} for year, share in found.years.items()],
        "trades": [_trip(trip) for trip in found.trips],
        "cautions": list(found.cautions),
    }  # fmt: skip


def _figure(figure: Figure) -> dict[str, Any]:
    told = {"name": figure.name, "unit": figure.unit.value, "value": _json(figure.value)}
    return told if figure.value is not None else {**told, "why": figure.why}


def _trip(trip: Trip) -> dict[str, Any]:
    return {
        "number": trip.number,
        "symbol": trip.symbol,
        "side": "long" if trip.side.value == "buy" else "short",
        "open": trip.open,
        "entered": _json(trip.entered),
        "exited": _json(trip.exited),
        "quantity": _json(trip.quantity),
        "left": _json(trip.left),
        "entry_price": _json(trip.entry_price),
        "exit_price": _json(trip.exit_price),
        "profit": _json(trip.profit),
        "fees": _json(trip.fees),
        "net": _json(trip.net),
        "return": trip.share,
        "seconds": trip.length.total_seconds(),
        "fills": trip.fills,
        "reason": None if trip.reason is None else trip.reason.value,
    }


def _json(value: Value | timedelta | None) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


@dataclass(frozen=True, slots=True)
class Moved:
    """A figure that is not as it was.

    Attributes:
        strategy: whose; empty for a check.
        old, new: None: it had or has no value.
        difference: new less old; None: they are no numbers, or one is missing.
        better: None: neither better nor worse.
    """

    strategy: str
    key: str
    name: str
    unit: str
    old: str | float | None
    new: str | float | None
    difference: float | None
    better: bool | None


class DocumentError(ValueError):
    """This is no document of a run that this version can read; the message says why."""


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Moved]:
    """Return every figure and check that moved, in the order of the new document.

    A strategy that only one of them has is compared with nothing, unless each has exactly one: then these
    are compared, whatever they are called.

    Raises:
        DocumentError: one of them is no such document.
    """
    before, after = _strategies(old, "the older"), _strategies(new, "the newer")
    if len(before) == len(after) == 1:
        before = {next(iter(after)): next(iter(before.values()))}
    moved = [row for name in {**after, **before} for row in _moved(name, before.get(name, {}), after.get(name, {}))]  # fmt: skip
    return moved + _checks(old, new)


def _strategies(given: Mapping[str, Any], which: str) -> dict[str, Mapping[str, Any]]:
    version = given.get("version") if isinstance(given, Mapping) else None
    if version != VERSION:
        raise DocumentError(f"{which} document has version {version!r}; this reads version {VERSION}")  # fmt: skip
    try:
        found = {one["strategy"]: one["figures"] for one in given["strategies"]}
        for figures in found.values():
            for figure in figures.values():
                figure["value"], figure["unit"], figure["name"]
    except (KeyError, TypeError, AttributeError):
        raise DocumentError(f"{which} document has no strategies with figures") from None
    return found


def _moved(strategy: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Moved]:
    rows = []
    for key in {**after, **before}:
        old, new = before.get(key, {}).get("value"), after.get(key, {}).get("value")
        if old == new:
            continue
        shown = after.get(key) or before[key]
        difference = _difference(old, new, shown["unit"])
        if difference == 0:
            continue  # written otherwise
        higher = FIGURES[key].higher if key in FIGURES else None
        better = None if not difference or higher is None else (difference > 0) == higher
        rows.append(Moved(strategy, key, shown["name"], shown["unit"], old, new, difference, better))  # fmt: skip
    return rows


def _difference(old: Any, new: Any, unit: str) -> float | None:
    if old is None or new is None or unit == "time":
        return None
    try:
        return float(Decimal(str(new)) - Decimal(str(old)))
    except InvalidOperation:
        raise DocumentError(f"a figure was {old!r} and is {new!r}: no numbers") from None


def _checks(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Moved]:
    def words(given: Mapping[str, Any]) -> dict[str, str]:
        return {
            str(one["name"]): "passed" if one.get("passed") else "failed"
            for one in given.get("checks", ())
            if "name" in one
        }

    before, after = words(old), words(new)
    rows = []
    for name in {**after, **before}:
        was, now = before.get(name), after.get(name)
        if was != now:
            better = now == "passed" if was and now else None
            rows.append(Moved("", name, name, "check", was, now, None, better))
    return rows
