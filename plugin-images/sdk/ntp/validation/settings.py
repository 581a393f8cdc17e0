"""config_schema: whether it says what it means, and what the code takes from `config`."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from ntp.contract.config_schema import expand
from ntp.validation.finding import Finding, Severity
from ntp.validation.subject import Module, Subject
from ntp.validation.texts import SECRET

_OF_RUNNER = frozenset({"symbols", "position_size"})
"""Keys that the SDK itself looks at."""


def described(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with the schema, and what its reader would miss."""
    written = subject.manifest.config_schema
    schema = expand(written)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        path = ("config_schema", *error.absolute_path)
        yield subject.manifested(
            path, Severity.ERROR, "schema", f"it is no JSON Schema: {error.message}",
            "see https://json-schema.org/understanding-json-schema",
        )  # fmt: skip
        return
    if not written:
        yield subject.manifested(
            (), Severity.NOTE, "schema", "config_schema is missing, so any config is taken",
            "describe what the plugin reads, so that a misspelt key is told: {period: int}",
        )  # fmt: skip
        return
    if schema.get("additionalProperties") is not False:
        yield subject.manifested(
            ("config_schema",), Severity.WARNING, "schema",
            "a key that the schema does not have is taken, so a misspelt one is not noticed",
            "add 'additionalProperties: false'",
        )  # fmt: skip
    properties = schema.get("properties", {})
    for name in properties:
        if SECRET.search(name) and name not in subject.manifest.secrets:
            yield subject.manifested(
                ("config_schema", "properties", name), Severity.WARNING, "secret",
                f"config.{name} looks like a secret, and `secrets` does not have it",
                f"add 'secrets: [{name}]', so that whoever installs the plugin knows that it is asked for",
            )  # fmt: skip
    validators = Draft202012Validator(schema)
    for name, field in properties.items():
        if not isinstance(field, Mapping) or not isinstance(written.get("properties"), Mapping):
            continue
        yield from _field(subject, validators, name, field, required=schema.get("required", []))


def _field(
    subject: Subject,
    schema: Draft202012Validator,
    name: str,
    field: Mapping[str, Any],
    *,
    required: list[str],
) -> Iterator[Finding]:
    path = ("config_schema", "properties", name)
    if "default" in field:
        for error in schema.evolve(schema=field).iter_errors(field["default"]):
            yield subject.manifested(
                (*path, "default"), Severity.ERROR, "schema",
                f"the default of '{name}' is not what it describes: {error.message}",
                "correct one of them",
            )  # fmt: skip
        if name in required:
            yield subject.manifested(
                (*path, "default"), Severity.NOTE, "schema",
                f"'{name}' is required, so its default is never taken",
                "take it out of 'required', or its default",
            )  # fmt: skip
    if not field.get("description"):
        yield subject.manifested(
            path, Severity.NOTE, "schema", f"'{name}' has no description", "add one sentence"
        )
    if "pattern" in field and "x-pattern" not in field:
        return
    if "x-pattern" in field:
        yield subject.manifested(
            (*path, "pattern"), Severity.NOTE, "schema",
            f"the pattern of '{name}' may take long to match, so only the plugin itself checks it",
            "repeat single characters only, no groups",
        )  # fmt: skip


def read(subject: Subject) -> Iterator[Finding]:
    """Yield keys that the code takes from `config` and no entry may give."""
    if expand(subject.manifest.config_schema).get("additionalProperties") is not False:
        return
    known = subject.properties.keys() | _OF_RUNNER
    for module in subject.modules:
        for key, node in _keys(module):
            if key not in known:
                yield module.at(
                    node, Severity.WARNING, "config-key",
                    f"config has no '{key}': config_schema does not let an entry give it",
                    f"add '{key}' to config_schema, or correct the name",
                )  # fmt: skip


def _keys(module: Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Subscript(
                value=ast.Name(id="config") | ast.Attribute(attr="config"),
                slice=ast.Constant(value=str(key)),
            ):
                yield key, node.slice
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="config") | ast.Attribute(attr="config"), attr="get"
                ),
                args=[ast.Constant(value=str(key)) as place, *_],
            ):
                yield key, place
            case _:
                pass
