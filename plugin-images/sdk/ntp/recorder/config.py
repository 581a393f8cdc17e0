"""A source's `config` from what a person types: symbols, a URL, and single fields."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

from ntp.recorder.fault import RecordError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def assemble(
    schema: Mapping[str, Any],
    *,
    symbols: Sequence[str],
    url: str | None,
    fields: Sequence[str],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Return the config.

    Args:
        schema: JSON Schema of the plugin's config.
        symbols: none: the config says nothing of them.
        url: for the one field of the schema that is called url or ends in `_url`; one without a path
            has the path of that field's default.
        fields: `name=value`; the value is JSON, or else text. `${VAR}` in it is of the environment.
        environment: variables.

    Raises:
        RecordError: with everything that is wrong.
    """
    config: dict[str, Any] = {}
    wrong: list[str] = []
    unknown: set[str] = set()
    """Fields whose value is not known, so that nothing can be said of it."""
    if symbols:
        config["symbols"] = list(symbols)
    if url is not None:
        known = [
            name for name in schema.get("properties", {}) if name == "url" or name.endswith("_url")
        ]
        if len(known) == 1:
            config[known[0]] = _complete(url, schema["properties"][known[0]])
        else:
            which = f"has {', '.join(known)}" if known else "has no field for a URL"
            wrong.append(f"--url: the plugin's config {which}; write --set NAME={url}")
    for field in fields:
        name, equals, text = field.partition("=")
        if not equals or not name:
            wrong.append(f"--set {field}: write NAME=VALUE")
            continue
        missing = [each for each in _VARIABLE.findall(text) if each not in environment]
        wrong += [f"--set {name}: the environment has no {each}; export it" for each in missing]
        if missing:
            unknown.add(name)
        config[name] = _value(_VARIABLE.sub(lambda found: environment.get(found[1], ""), text))
    wrong += _refusals(schema, config, but=unknown)
    if wrong:
        raise RecordError("\n".join(wrong), usage=True)
    return config


def _complete(url: str, field: Mapping[str, Any]) -> str:
    try:
        parts, default = urlsplit(url), urlsplit(str(field.get("default", "")))
    except ValueError:  # the schema, or the plugin, has the words for it
        return url
    return url if parts.path.strip("/") else parts._replace(path=default.path).geturl()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refusals(
    schema: Mapping[str, Any], config: Mapping[str, Any], *, but: Collection[str]
) -> list[str]:
    found = Draft202012Validator(dict(schema)).iter_errors(config)
    # The value stays out of the words: it may be a key.
    return sorted(
        f"config{''.join(f'.{step}' for step in error.absolute_path)}: {_refusal(error)}"
        for error in found
        if not (error.absolute_path and error.absolute_path[0] in but)
    )


def _refusal(error: Any) -> str:
    if error.validator == "required":
        name = error.message.split("'")[1]
        where = "" if error.absolute_path else f"; write --set {name}=VALUE"
        return f"'{name}' is missing{where}"
    if error.validator == "additionalProperties":
        return str(error.message)
    return f"does not fit: {_rule(error)}"


def _rule(error: Any) -> str:
    return f"{error.validator} {json.dumps(error.validator_value)}"
