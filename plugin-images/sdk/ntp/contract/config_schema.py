"""What a plugin says about its `config`, as one bounded JSON Schema of draft 2020-12.

A schema comes from a plugin, so it is hostile until shown otherwise: a validator fetches a remote
`$ref`, and a nested `allOf` makes it run for hours. What leaves `expand` can do neither.
"""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ntp.contract.pattern import is_tame

DIALECT = "https://json-schema.org/draft/2020-12/schema"
WORDS: Mapping[str, Mapping[str, str]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "list": {"type": "array"},
    "dict": {"type": "object"},
}
_OTHER_WORDS = {
    "integer": "int",
    "number": "float",
    "double": "float",
    "decimal": "float",
    "string": "str",
    "text": "str",
    "boolean": "bool",
    "array": "list",
    "tuple": "list",
    "object": "dict",
    "map": "dict",
}

MAX_BYTES = 64 * 1024
MAX_DEPTH = 24
MAX_VISITS = 10_000
"""Subschemas that a validator may meet for one value, every `$ref` followed."""

_ONE = ("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("$defs", "dependentSchemas", "patternProperties", "properties")
_REFUSED = {
    "$id": "a base address",
    "$anchor": "an anchor",
    "$dynamicAnchor": "a dynamic anchor",
    "$dynamicRef": "a dynamic reference",
    "$recursiveRef": "a recursive reference",
    "$vocabulary": "a vocabulary",
    "unevaluatedItems": "a keyword whose cost nobody can bound",
    "unevaluatedProperties": "a keyword whose cost nobody can bound",
}

_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")

Path = tuple[str | int, ...]


class SchemaError(ValueError):
    """`path` leads to the place inside the schema."""

    def __init__(self, message: str, *, fix: str, path: Path = ()) -> None:
        super().__init__(message)
        self.fix = fix
        self.path = path


def expand(config_schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full JSON Schema of what was written in full or in shorthand.

    Shorthand is `{"period": "int"}` with the words int, float, str, list, bool and dict: every key
    is optional, a key that is not listed is a mistake of the user. An empty mapping says nothing,
    so it allows everything. A `pattern` that could keep Python's engine busy for hours is left to
    the plugin itself: it is renamed to `x-pattern`, which validators ignore.

    Raises:
        SchemaError: neither of the two, or a schema that could harm who validates with it.
    """
    if not config_schema:
        return {"$schema": DIALECT, "type": "object"}
    if _is_full(config_schema):
        return _checked({"$schema": DIALECT, "type": "object", **config_schema})
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {name: dict(_word(name, word)) for name, word in config_schema.items()},
        "additionalProperties": False,
    }


def _is_full(schema: Mapping[str, Any]) -> bool:
    if "$schema" in schema or "$ref" in schema or schema.get("type") == "object":
        return True
    return any(isinstance(schema.get(key), Mapping) for key in ("properties", "$defs")) or any(
        isinstance(schema.get(key), list) for key in ("allOf", "anyOf", "oneOf")
    )


def _word(name: str, word: object) -> Mapping[str, str]:
    if not isinstance(word, str):
        raise SchemaError(
            f"the type of '{name}' was {_shown(word)}",
            fix=f"write one of {', '.join(WORDS)}, or a whole JSON Schema with 'properties'",
            path=(name,),
        )
    known = WORDS.get(word)
    if known is None:
        near = _OTHER_WORDS.get(word.lower()) or next(iter(get_close_matches(word, WORDS, 1)), None)
        raise SchemaError(
            f"the type of '{name}' was '{word}'",
            fix=f"write '{near}'" if near else f"write one of {', '.join(WORDS)}",
            path=(name,),
        )
    return known


def _checked(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `schema` that is safe to validate with."""
    if schema["$schema"] != DIALECT:
        raise SchemaError(
            f"the dialect was {_shown(schema['$schema'])}",
            fix=f"write '$schema: {DIALECT}', or leave it out",
            path=("$schema",),
        )
    if schema["type"] != "object":
        raise SchemaError(
            f"the schema of a config was of type {_shown(schema['type'])}",
            fix="a config is a mapping: write 'type: object' and describe its 'properties'",
            path=("type",),
        )
    _depth(schema)
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"the schema is not JSON: {error}", fix="use only what JSON can hold"
        ) from error
    if len(text) > MAX_BYTES:
        raise SchemaError(
            f"the schema has {len(text):,} bytes, and {MAX_BYTES:,} are allowed",
            fix="make it shorter",
        )
    copy: dict[str, Any] = json.loads(text)
    definitions = copy.get("$defs", {})
    _walk(copy, definitions if isinstance(definitions, dict) else {})
    return copy


def _depth(schema: Mapping[str, Any]) -> None:
    level: list[tuple[Path, Any]] = [((), schema)]
    for _ in range(MAX_DEPTH):
        level = [
            ((*path, key), value)
            for path, node in level
            for key, value in _children(node)
            if isinstance(value, Mapping | list)
        ]
        if not level:
            return
        if len(level) > MAX_VISITS:
            break
    raise SchemaError(
        f"the schema is nested deeper than {MAX_DEPTH} levels, or too wide",
        fix="make it flatter",
        path=level[0][0][:8],
    )


def _children(node: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, list):
        yield from enumerate(node)


def _walk(schema: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Visit what a validator would visit, each `$ref` followed; refuse what has no bound."""
    visits = 0
    stack: list[tuple[Path, Any, tuple[str, ...]]] = [((), schema, ())]
    stack += [(("$defs", name), node, (name,)) for name, node in definitions.items()]
    while stack:
        path, node, inside = stack.pop()
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict):
            raise SchemaError(
                f"a schema stood as {_shown(node)}", fix="write a mapping, true or false", path=path
            )
        visits += 1
        if visits > MAX_VISITS:
            raise SchemaError(
                f"the schema has more than {MAX_VISITS:,} branches once its references are followed",
                fix="make it shorter, or refer to a definition less often",
                path=path,
            )
        _keywords(path, node)
        if "$ref" in node:
            name = _definition(path, node["$ref"], definitions)
            if name in inside:
                raise SchemaError(
                    f"the definition '{name}' contains itself",
                    fix="a config has a fixed shape: write it without recursion",
                    path=(*path, "$ref"),
                )
            stack.append((path, definitions[name], (*inside, name)))
        stack.extend((*step, inside) for step in _subschemas(path, node))


def _subschemas(path: Path, node: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for key in _ONE:
        if key in node:
            yield (*path, key), node[key]
    for key in _MANY:
        branches = node.get(key, [])
        if not isinstance(branches, list):
            raise SchemaError(
                f"'{key}' was {_shown(branches)}", fix="write a list", path=(*path, key)
            )
        for at, branch in enumerate(branches):
            yield (*path, key, at), branch
    for key in _NAMED:
        named = node.get(key, {})
        if not isinstance(named, Mapping):
            raise SchemaError(
                f"'{key}' was {_shown(named)}", fix="write a mapping", path=(*path, key)
            )
        # Definitions are visited once each from the top; below it nothing can refer to them.
        if key != "$defs":
            for name, branch in named.items():
                yield (*path, key, name), branch


def _keywords(path: Path, node: dict[str, Any]) -> None:
    for key, what in _REFUSED.items():
        if key in node:
            raise SchemaError(
                f"'{key}' was found, {what}",
                fix="describe the config with plain keywords and '$defs'",
                path=(*path, key),
            )
    if "pattern" in node and not (isinstance(node["pattern"], str) and is_tame(node["pattern"])):
        node["x-pattern"] = node.pop("pattern")
    named = node.get("patternProperties")
    for pattern in named if isinstance(named, dict) else ():
        if not is_tame(pattern):
            raise SchemaError(
                f"the pattern {_shown(pattern)} may take for ever to match",
                fix="repeat single characters only, no groups, and look neither back nor around",
                path=(*path, "patternProperties", pattern),
            )
    if path and "$schema" in node:
        raise SchemaError(
            "'$schema' was found below the top", fix="take it out", path=(*path, "$schema")
        )


def _definition(path: Path, reference: object, definitions: Mapping[str, Any]) -> str:
    prefix = "#/$defs/"
    if isinstance(reference, str) and reference.startswith(prefix):
        name = reference.removeprefix(prefix)
        # Other characters would be decoded by a validator, and name another definition than here.
        if name in definitions and _PLAIN.fullmatch(name):
            return name
        near = next(iter(get_close_matches(name, definitions, 1)), None)
        raise SchemaError(
            f"the definition '{name}' does not exist",
            fix=f"did you mean '{near}'?" if near else "add it to '$defs'",
            path=(*path, "$ref"),
        )
    raise SchemaError(
        f"'$ref' was {_shown(reference)}",
        fix="refer to '#/$defs/<name>' of the same schema; nothing is fetched from elsewhere",
        path=(*path, "$ref"),
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
