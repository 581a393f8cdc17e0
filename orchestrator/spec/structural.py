"""JSON Schema to what an API server takes: a structural schema of OpenAPI 3, without a reference in it.

It can say less. A field that takes a number or a text, or a text or a mapping, has no type there and is
`x-kubernetes-preserve-unknown-fields`; the limits of each way to write it stay, for they say nothing of
the others. What it cannot say is found when the controller reads the spec.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FREE = "x-kubernetes-preserve-unknown-fields"
_AS_THEY_ARE = (
    "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
    "maxProperties", "required", "enum", "type",
)  # fmt: skip
_TYPES = {str: "string", int: "integer", bool: "boolean"}


def structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` (draft 2020-12, as pydantic writes it) as an API server takes it.

    Fields that are refused whatever they say are left out: it refuses those by itself.
    """
    return _node(schema, schema.get("$defs", {}))


def _node(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        inner = definitions[schema["$ref"].rpartition("/")[2]]
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _node({**inner, **rest}, definitions)
    if "anyOf" in schema:
        return _either(schema, definitions)
    made = {**_described(schema), **{key: schema[key] for key in _AS_THEY_ARE if key in schema}}
    if isinstance(made.get("type"), list):
        made["type"] = next(each for each in made["type"] if each != "null")
        made["nullable"] = True
    if "const" in schema:
        made |= {"type": _TYPES[type(schema["const"])], "enum": [schema["const"]]}
    if "exclusiveMinimum" in schema:
        # A number in JSON Schema, and a switch beside `minimum` in OpenAPI 3.
        made |= {"minimum": schema["exclusiveMinimum"], "exclusiveMinimum": True}
    if "items" in schema:
        made["items"] = _node(schema["items"], definitions)
    return {**made, **_fields(schema, definitions)}


def _fields(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a mapping may hold."""
    if "properties" in schema:
        inner = schema["properties"].items()
        allowed = {name: _node(each, definitions) for name, each in inner if each.get("not") != {}}
        return {"properties": allowed}
    if "patternProperties" in schema:
        (each,) = schema["patternProperties"].values()
        return {"additionalProperties": _node(each, definitions)}
    if "object" in schema.get("type", ""):
        return {FREE: True}
    return {}


def _described(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A refusal by an API server has no fix in it; `kubectl explain` has."""
    about, fix = schema.get("description", ""), schema.get("x-fix", "")
    told = f"{about} {fix[:1].upper()}{fix[1:]}." if about and fix else about
    return {"description": told} if told else {}


def _either(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    ways = [_node(each, definitions) for each in schema["anyOf"]]
    types = {each.pop("type", "") for each in ways}
    made = {**_described(schema), **dict(_limits(ways, types))}
    if types == {"integer", "string"}:
        return {**made, "x-kubernetes-int-or-string": True}
    return {**made, FREE: True}


def _limits(ways: Sequence[Mapping[str, Any]], types: set[str]) -> Iterator[tuple[str, Any]]:
    """Each limits one type and passes all others, so they can stand side by side."""
    for each in ways:
        for key, value in each.items():
            if key in (
                "pattern",
                "minLength",
                "maxLength",
                "minimum",
                "maximum",
                "exclusiveMinimum",
            ):
                yield key, value
    if "object" not in types:
        yield "maxProperties", 0
    if "array" not in types:
        yield "maxItems", 0
