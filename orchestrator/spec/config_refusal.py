"""Why a config is refused, in words: jsonschema with everything unbounded taken out.

Nothing is fetched, and `config_keywords` checks what takes long. Imported only for a no.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from orchestrator.spec.complaint import listed, near
from orchestrator.spec.config_check import GIVEN, Complaint
from orchestrator.spec.config_keywords import UnusableError, matcher, unique
from orchestrator.spec.quantity import shown

MAX_COMPLAINTS: Final = 20
MAX_SHOWN: Final = 60
"""Characters of a value that is repeated in a fix."""
_PLAIN_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?\Z")

_WORDS: Final = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_BOUNDS: Final = {
    "minimum": "write at least {}",
    "maximum": "write at most {}",
    "exclusiveMinimum": "write more than {}",
    "exclusiveMaximum": "write less than {}",
    "multipleOf": "write a multiple of {}",
    "minLength": "write at least {} characters",
    "maxLength": "write at most {} characters",
    "minItems": "list at least {}",
    "maxItems": "list at most {}",
    "minProperties": "name at least {}",
    "maxProperties": "name at most {}",
    "const": "write {}",
    "pattern": "write text that matches {}",
}


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise UnusableError for a keyword with a value that it cannot have."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = ".".join(map(str, error.absolute_path))
        raise UnusableError(f"{where or 'it'} was {shown(error.instance)}") from error


def refusals(schema: Mapping[str, Any], config: Mapping[str, Any]) -> list[Complaint]:
    """Return what the schema does not allow. A text with `${` is a secret: only its type counts.

    Raises:
        UnusableError: a pattern that cannot be matched in linear time.
    """
    found: dict[Complaint, None] = {}
    for error in _Validator(dict(schema), registry=Registry()).iter_errors(config):
        if not _of_secret(error):
            found.update(dict.fromkeys(_words(error)))
        if len(found) >= MAX_COMPLAINTS:
            break
    return list(found)


def _pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    del schema
    if isinstance(instance, str) and not matcher(pattern)(instance):
        yield ValidationError("does not match")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for key, value in instance.items():
                if matcher(pattern)(key):
                    yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _additional(
    validator: Any, inner: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for key in _extra(instance, schema):
            if inner is False:
                yield ValidationError("is not known", path=[key])
            elif inner is not True:
                yield from validator.descend(instance[key], inner, path=key)


def _extra(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return [
        key
        for key in instance
        if key not in known and not any(matcher(pattern)(key) for pattern in patterns)
    ]


def _unique(_: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    del schema
    if wanted and isinstance(instance, list) and not unique(instance):
        yield ValidationError("has the same item twice")


_Validator: Any = extend(  # type: ignore[no-untyped-call]  # jsonschema's own stubs leave it open
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional,
        "uniqueItems": _unique,
    },
)


def _of_secret(error: ValidationError) -> bool:
    instance: Any = error.instance
    if error.validator == "additionalProperties" and isinstance(instance, dict):
        # Whether the plugin has such a secret is looked at where `secrets:` is.
        return bool(instance[error.path[-1]] == GIVEN)
    secret = isinstance(instance, str) and "${" in instance
    return secret and (error.validator != "type" or instance == GIVEN)


def _words(error: ValidationError) -> Iterator[Complaint]:
    path = tuple(error.absolute_path)
    name = _name(path)
    limit: Any = error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "required":
            for key in limit:
                if key not in instance:
                    yield Complaint((*path, key), f"{name}: '{key}' is missing", f"add '{key}: …'")
        case "additionalProperties":
            known = sorted(schema.get("properties", {}))
            meant = near(str(path[-1]), known)
            fix = f"the plugin reads {listed(known)}" if known else "take it out"
            if meant:
                fix = f"did you mean '{meant}'?"
            yield Complaint(path, f"unknown key '{path[-1]}'", fix)
        case "type":
            types = [limit] if isinstance(limit, str) else limit
            fix = _as_type(types, instance)
            yield Complaint(path, f"{name} was {shown(instance)}", fix)
        case "enum":
            fix = f"write one of {listed([shown(each) for each in limit])}"
            yield Complaint(path, f"{name} was {shown(instance)}", fix)
        case "anyOf" | "oneOf" if error.context:
            fix = f"write one of {listed(_choices(error.context))}"
            yield Complaint(path, f"{name} was {shown(instance)}", fix)
        case keyword:
            yield Complaint(path, *_bounded(str(keyword), name, error))


def _bounded(keyword: str, name: str, error: ValidationError) -> tuple[str, str]:
    was = f"{name} was {shown(error.instance)}"
    if keyword == "uniqueItems":
        return f"{name} has the same item twice", "list each item once"
    if keyword not in _BOUNDS:
        fix = f"see '{keyword}' in the plugin's config_schema"
        return f"{was}, which '{keyword}' does not allow", fix
    limit: Any = error.validator_value
    schema: Any = error.schema
    more = _example(schema) if keyword == "pattern" else ""
    return was, _BOUNDS[keyword].format(shown(limit)) + more


def _as_type(types: Sequence[str], instance: Any) -> str:
    """Return what to write, with the value itself where it is clear how it was meant."""
    fix = f"write {' or '.join(_WORDS.get(each, each) for each in types)}"
    if isinstance(instance, str) and 0 < len(instance) <= MAX_SHOWN:
        if types == ["array"]:
            items = [f'"{each.strip()}"' for each in instance.split(",") if each.strip(' "')]
            return f"{fix}: [{', '.join(items)}]" if '"' not in instance else fix
        if types in (["integer"], ["number"]) and _PLAIN_NUMBER.match(instance):
            whole = types == ["number"] or "." not in instance
            return f"{fix} without quotes: {instance}" if whole else fix
    if instance is None:
        return f"{fix}, or take it out"
    if types == ["string"] and isinstance(instance, int | float):
        return f"{fix}, in quotes"
    return fix


def _example(schema: Mapping[str, Any]) -> str:
    """Return a text that the plugin's author gives; a pattern alone tells few people anything."""
    examples = schema.get("examples")
    example = examples[0] if isinstance(examples, list) and examples else schema.get("default")
    good = isinstance(example, str) and 0 < len(example) <= MAX_SHOWN
    return f", such as {shown(example)}" if good else ""


def _choices(context: Sequence[ValidationError]) -> list[str]:
    """Return in words what the branches of anyOf want."""
    words: dict[str, None] = {}
    for each in context:
        fixes = [complaint.fix for complaint in _words(each)]
        words.update(dict.fromkeys(fix.removeprefix("write ") for fix in fixes))
    return list(words)


def _name(path: Sequence[str | int]) -> str:
    if not path:
        return "config"
    return f"{_name(path[:-1])}[{path[-1]}]" if isinstance(path[-1], int) else str(path[-1])
