"""The variants of a grid: every combination of the values that ranges name."""

import itertools
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from ntp.contract.problem import Problem
from ntp.package.author import AuthorError

MOST = 10_000
"""Variants of one grid."""


def variants(ranges: Sequence[str]) -> list[dict[str, Any]]:
    """Return every combination, the last range turning fastest.

    A range is `NAME=first:last:step`, both ends included, or `NAME=value,value`; values are JSON, or text.
    A field of an indicator is named with it: `rsi.period`.

    Raises:
        AuthorError: with everything that is wrong.
    """
    problems: list[Problem] = []
    axes: dict[str, list[Any]] = {}
    for text in ranges:
        name, equals, said = text.partition("=")
        if not equals or not _is_field(name):
            problems.append(Problem("--grid", 0, 0, f"{text!r} is no range", "write NAME=10:40:5 or NAME=1,2,5"))  # fmt: skip
            continue
        if name in axes:
            problems.append(Problem("--grid", 0, 0, f"{name} was named twice", "give it one range"))
        try:
            axes[name] = _values(said)
        except ValueError as error:
            problems.append(Problem("--grid", 0, 0, f"{name} was {said!r}: {error}", "write first:last:step, such as 10:40:5, or values, such as 1,2,5"))  # fmt: skip
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST:
        problems.append(Problem("--grid", 0, 0, f"these are {count:,} variants, at most {MOST:,} may be", "take larger steps"))  # fmt: skip
    if problems:
        raise AuthorError(*problems)
    return [dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())]


def parted(variant: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what of a variant is of the plugin's own config, and what of each indicator's, by its name."""
    own: dict[str, Any] = {}
    theirs: dict[str, dict[str, Any]] = {}
    for name, value in variant.items():
        instance, _, field = name.rpartition(".")
        (theirs.setdefault(instance, {}) if instance else own)[field] = value
    return own, theirs


def words(variant: Mapping[str, Any]) -> str:
    """Return a variant as it is typed."""
    return " ".join(f"{name}={json.dumps(value)}" for name, value in variant.items())


def _is_field(name: str) -> bool:
    instance, dot, field = name.rpartition(".")
    return field.isidentifier() and bool(instance) == bool(dot)


def _values(said: str) -> list[Any]:
    if ":" not in said:
        if not said:
            raise ValueError("it has no value")
        return [_value(text) for text in said.split(",")]
    try:
        first, last, step = map(Decimal, said.split(":"))
    except (ValueError, InvalidOperation):
        raise ValueError("it is not three numbers") from None
    if not all(each.is_finite() for each in (first, last, step)) or step <= 0 or last < first:
        raise ValueError("it goes nowhere")
    count = int((last - first) / step) + 1
    if count > MOST:
        raise ValueError(f"it has {count:,} values")
    whole = all(each == each.to_integral_value() for each in (first, step))
    return [(int if whole else float)(first + at * step) for at in range(count)]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
