"""What a seller's report says, beside what the same test found on other data."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from math import isclose
from typing import Any

import msgspec

from ntp.contract.config_schema import expand
from ntp.contract.manifest import Manifest
from ntp.contract.tested import Check, Figure, Tested

TOLERANCE = 1e-9
"""Relative, of figures that are the same: another processor or numpy may sum in another order."""
Value = str | int | float | None


def compared(
    manifest: Manifest,
    theirs: Tested,
    ours: Tested | None,
    report: Mapping[str, Any],
    *,
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """Return RETESTED (docs/json.md).

    Args:
        manifest: of what was run.
        theirs: the seller's report.
        ours: None: the plugin brought its process to an end.
        report: `ours`, whole.
        config: of the entry that runs it.
    """
    figures = _figures(theirs, ours)
    same = ours is not None and _same_data(theirs, ours)
    differing = [each["name"] for each in figures if not _equal(each["theirs"], each["yours"])]
    return {
        "passed": ours is not None and ours.passed and not (same and differing),
        "same_data": same,
        "config": theirs.plugin.config,
        "settings": msgspec.to_builtins(theirs.settings),
        "notes": [
            *_notes(manifest, theirs, ours),
            *_configured(manifest, theirs, config),
            *(_reproduced(differing) if same and figures else ()),
        ],
        "data": {
            "theirs": msgspec.to_builtins(theirs.data),
            "yours": msgspec.to_builtins(ours.data) if ours else None,
        },
        "figures": figures,
        "checks": _checks(theirs, ours),
        "report": dict(report) or None,
    }


def _figures(theirs: Tested, ours: Tested | None) -> list[dict[str, Any]]:
    """A plugin is one strategy: whatever it is called, the first of each is meant."""
    sold, found = _first(theirs), _first(ours)
    return [
        {
            "figure": key,
            "name": (found.get(key) or sold[key]).name,
            "unit": (found.get(key) or sold[key]).unit,
            "theirs": sold[key].value if key in sold else None,
            "yours": found[key].value if key in found else None,
        }
        for key in {**found, **sold}
    ]


def _first(report: Tested | None) -> Mapping[str, Figure]:
    return report.strategies[0].figures if report and report.strategies else {}


def _checks(theirs: Tested, ours: Tested | None) -> list[dict[str, Any]]:
    sold: Mapping[str, Check] = {each.name: each for each in theirs.checks}
    found: Mapping[str, Check] = {each.name: each for each in (ours.checks if ours else ())}
    return [
        {
            "name": name,
            "theirs": sold[name].status if name in sold else None,
            "yours": found[name].status if name in found else None,
            "words": found[name].words if name in found else "",
            "fix": found[name].fix if name in found else "",
        }
        for name in {**found, **sold}
    ]


def _notes(manifest: Manifest, theirs: Tested, ours: Tested | None) -> list[str]:
    """What a buyer has to know of the report, in words."""
    said, words = theirs.plugin, []
    if (said.name, said.version) != (manifest.name, manifest.version):
        words.append(
            f"the report is of {said.name} {said.version}, and this is {manifest.name} {manifest.version}"
        )
    if not theirs.passed:
        words.append("its author signed a report that did not pass")
    if not theirs.checks:
        words.append("its author left the checks out")
    if theirs.grid is not None:
        many = theirs.grid.get("variants")
        words.append(
            f"its config is the best of {many} variants that were tried on its author's data"
        )
    if ours is None:
        words.append("it gave no answer on your data: why stands above")
    elif ours.run.raised is not None:
        words.append(f"on your data {ours.run.raised}")
    return words


def _configured(manifest: Manifest, theirs: Tested, config: Mapping[str, Any]) -> list[str]:
    """Names alone: a value may be what nobody else is to read."""
    fields = expand(manifest.config_schema).get("properties", {})
    defaults = {
        name: said["default"]
        for name, said in fields.items()
        if isinstance(said, dict) and "default" in said
    }
    sold, mine = {**defaults, **theirs.plugin.config}, {**defaults, **config}
    other = [name for name in {**sold, **mine} if sold.get(name) != mine.get(name)]
    if not other:
        return []
    return [f"your entry has another config than the report was made with: {', '.join(other)}"]


def _reproduced(differing: list[str]) -> list[str]:
    if not differing:
        return ["your data is what the report was made on, and gives the same figures"]
    return [
        f"your data is what the report was made on, and gives other figures: {', '.join(differing)}"
    ]


def _same_data(theirs: Tested, ours: Tested) -> bool:
    """The same bytes, read in the same way."""

    def key(report: Tested) -> object:
        data = report.data
        digests = [each.sha256 for each in data.files]
        return digests, data.ticks, data.symbols, data.first, data.last, data.bad_rows

    return bool(theirs.data.files) and key(theirs) == key(ours)


def _equal(one: Value, two: Value) -> bool:
    if one is None or two is None:
        return one is two
    try:
        return isclose(Decimal(str(one)), Decimal(str(two)), rel_tol=TOLERANCE, abs_tol=1e-12)
    except (InvalidOperation, ValueError):
        return one == two  # times
