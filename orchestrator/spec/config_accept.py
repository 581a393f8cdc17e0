"""A quick yes for a good config: the plain part of JSON Schema as closures.

A yes is certain; anything else says no, and leaves it to jsonschema to find out and to find words.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final

from orchestrator.spec.config_keywords import UnusableError, matcher, unique

Accept = Callable[[Any], bool]
Rule = Callable[[Mapping[str, Any]], list[Accept] | None]

_IGNORED: Final = frozenset(
    {"$schema", "$comment", "title", "description", "default", "examples", "format", "deprecated",
     "readOnly", "writeOnly"}
)  # fmt: skip
_CHOICES: Final = frozenset({"enum", "const"})
"""What says the same of every type."""
_READ: Final = _CHOICES | {
    "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "uniqueItems",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern",
}  # fmt: skip
_TYPES: Final[Mapping[str, Accept]] = {
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
    "number": lambda value: type(value) is int or type(value) is float,
    "string": lambda value: type(value) is str,
    "boolean": lambda value: type(value) is bool,
    "array": lambda value: type(value) is list,
    "object": lambda value: type(value) is dict,
    "null": lambda value: value is None,
}


def acceptor(schema: Any) -> Accept | None:
    """Return a function that is true only for what `schema` allows; None if the schema says more."""
    if schema is True:
        return lambda _: True
    if not isinstance(schema, Mapping):
        return None
    if any(key not in _IGNORED and key not in _READ and key[:2] != "x-" for key in schema):
        return None
    kind, said = schema.get("type"), schema.keys() & _READ
    found: list[Accept] = []
    rules: list[Rule] = [_choice]
    if isinstance(kind, str) and kind in _TYPES:
        found.append(_TYPES[kind])
        rules.append(_RULES.get(kind, _nothing))
    elif not said or not said <= _CHOICES:
        # Without one type, keywords of several types would all have to be looked at.
        return None
    for rule in rules:
        more = rule(schema)
        if more is None:
            return None
        found += more
    return reduce(_both, found)


def _both(one: Accept, other: Accept) -> Accept:
    return lambda value: one(value) and other(value)


def _nothing(_: Mapping[str, Any]) -> list[Accept] | None:
    return []


def _choice(schema: Mapping[str, Any]) -> list[Accept] | None:
    if "const" not in schema and "enum" not in schema:
        return []
    choices = [schema["const"]] if "const" in schema else schema["enum"]
    if "const" in schema and "enum" in schema:
        return None
    if not isinstance(choices, list) or any(isinstance(each, list | dict) for each in choices):
        return None
    # true is not 1 in JSON, but 1.0 is.
    allowed = frozenset((type(each) is bool, each) for each in choices)
    return [
        lambda value: not isinstance(value, list | dict) and (type(value) is bool, value) in allowed
    ]


def _numbers(schema: Mapping[str, Any]) -> list[Accept] | None:
    bounds = {key: schema[key] for key in _COMPARE if key in schema}
    if not all(type(bound) in (int, float) for bound in bounds.values()):
        return None
    return [_COMPARE[key](bound) for key, bound in bounds.items()]


_COMPARE: Final[Mapping[str, Callable[[float], Accept]]] = {
    "minimum": lambda bound: lambda value: value >= bound,
    "maximum": lambda bound: lambda value: value <= bound,
    "exclusiveMinimum": lambda bound: lambda value: value > bound,
    "exclusiveMaximum": lambda bound: lambda value: value < bound,
}


def _length(schema: Mapping[str, Any], least: str, most: str) -> list[Accept] | None:
    low, high = schema.get(least, 0), schema.get(most)
    if type(low) is not int or type(high) not in (int, type(None)):
        return None
    if high is not None:
        return [lambda value: low <= len(value) <= high]
    return [lambda value: len(value) >= low] if low else []


def _strings(schema: Mapping[str, Any]) -> list[Accept] | None:
    found, pattern = _length(schema, "minLength", "maxLength"), schema.get("pattern")
    if found is None or pattern is None:
        return found
    try:
        return [*found, matcher(pattern)] if isinstance(pattern, str) else None
    except UnusableError:
        return None


def _arrays(schema: Mapping[str, Any]) -> list[Accept] | None:
    found, alone = _length(schema, "minItems", "maxItems"), schema.get("uniqueItems", False)
    if found is None or not isinstance(alone, bool):
        return None
    if alone:
        found = [*found, unique]
    if "items" not in schema:
        return found
    each = acceptor(schema["items"])
    if each is None:
        return None
    return [*found, lambda value: all(each(item) for item in value)]


def _objects(schema: Mapping[str, Any]) -> list[Accept] | None:
    written, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(written, Mapping) or not isinstance(required, list):
        return None
    if not all(isinstance(name, str) for name in required):
        return None
    known = {name: acceptor(inner) for name, inner in written.items()}
    further = schema.get("additionalProperties", True)
    other = acceptor(further) if further is not False else (lambda _: False)
    if other is None:
        return None
    rules = {name: inner for name, inner in known.items() if inner is not None}
    if len(rules) < len(known):
        return None
    needed = frozenset(required)

    def accept(value: Any) -> bool:
        if not needed <= value.keys():
            return False
        for name, item in value.items():  # noqa: SIM110  a generator would double the time
            if not rules.get(name, other)(item):
                return False
        return True

    return [accept]


_RULES: Final[Mapping[str, Rule]] = {
    "integer": _numbers,
    "number": _numbers,
    "string": _strings,
    "array": _arrays,
    "object": _objects,
}
