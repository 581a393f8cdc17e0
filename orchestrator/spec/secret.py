"""References to secrets: what `secrets:` and `${VAR}` say. No value is ever read here.

`${VAR}` inside a text of `config` stands for a variable of the controller's environment; `$${` is a
`${` that stands for itself. In PluginSpec.secrets a reference inside config has the key
`config.<path>`, such as `config.api_key` or `config.keys.0`; where one text has several variables,
the further ones have `config.<path>#<VAR>`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from orchestrator.spec.model import SecretRef
from orchestrator.spec.quantity import QuantityError

VARIABLE_FIX: Final = "write ${NAME}; for a '${' that stands for itself write '$${'"
FIX: Final = "write env:NAME or file:path, or on a cluster kubernetes:SECRET/KEY: where the value is, never the value"
MAPPING_FIX: Final = "write a mapping of names, such as {api_key: 'env:API_KEY'}"
PREFIX: Final = "config."
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
# A Secret of the project's namespace, and the key in it, as the API server names both.
_IN_CLUSTER: Final = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/[A-Za-z0-9._-]{1,253}"
_ENV = re.compile(rf"{_NAME}\Z")
_KUBERNETES = re.compile(rf"{_IN_CLUSTER}\Z")
_VARIABLE = re.compile(rf"\$\{{({_NAME})\}}\Z")
# Only words with an underscore: what else begins with '$' may be the secret itself.
_OTHER_WAY = re.compile(r"(?:\$|%|\{\{ ?)([A-Z]+(?:_[A-Z0-9]+)+)(?:%| ?\}\})?\Z")
_IN_BRACES = re.compile(rf"\$\{{\s*({_NAME})\s*(:[-=?+].*|\s*)\}}\Z")
_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")

SCHEMA: Final = {
    "anyOf": [
        {"type": "string", "pattern": rf"^(env:{_NAME}|file:.+|kubernetes:{_IN_CLUSTER})$"},
        {
            "type": "object",
            "properties": {"env": {"type": "string", "pattern": f"^{_NAME}$"}},
            "required": ["env"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"file": {"type": "string", "minLength": 1, "maxLength": 4096}},
            "required": ["file"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"kubernetes": {"type": "string", "pattern": f"^{_IN_CLUSTER}$"}},
            "required": ["kubernetes"],
            "additionalProperties": False,
        },
    ]
}


class Reference(NamedTuple):
    """`source`: env, file or kubernetes; `key`: a variable's name, a path, or SECRET/KEY."""

    source: str
    key: str


class Use(NamedTuple):
    """A `${…}` in a config: `key` of PluginSpec.secrets, where it stands, and the variable."""

    key: str
    path: tuple[str | int, ...]
    variable: str


def reference(value: object) -> Reference:
    """Read `env:NAME`, `file:path` or `kubernetes:SECRET/KEY`, or a mapping of one such pair.

    Raises:
        QuantityError: anything else. What was found is not shown: it may be the secret itself.
    """
    source, key = "", ""
    if isinstance(value, str):
        source, _, key = value.partition(":")
    elif isinstance(value, Mapping) and len(value) == 1:
        source, key = next(iter(value.items()))
    if isinstance(key, str) and (
        (source == "env" and _ENV.match(key))
        or (source == "file" and 0 < len(key) <= 4096)
        or (source == "kubernetes" and _KUBERNETES.match(key))
    ):
        return Reference(source, key)
    variable = _VARIABLE.match(value) if isinstance(value, str) else None
    fix = f"write env:{variable[1]}" if variable is not None else FIX
    raise QuantityError("is no reference to a secret", fix)


def uses(config: Mapping[str, Any]) -> Iterator[Use]:
    """Yield every variable that a config names, in order."""
    for path, text in _texts(config):
        seen: list[str] = []
        for token in _TOKEN.finditer(text):
            if token[1] and _ENV.match(token[1]) and token[1] not in seen:
                yield Use(_key(path, token[1], first=not seen), path, token[1])
                seen.append(token[1])


def malformed(config: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every `${` that names no variable: where it stands, and how it is written."""
    for path, text in _texts(config):
        for token in _TOKEN.finditer(text):
            if token[0] != "$${" and not (token[1] and _ENV.match(token[1])):
                yield path, token[0]


def variable_fix(written: str) -> str:
    """Return what to write for a `${` that names no variable."""
    if written == "${":
        return f"close it with '}}'; {VARIABLE_FIX}"
    found = _IN_BRACES.match(written)
    if found is None:
        # What shells and other tools allow in a name.
        name = re.sub("[.-]", "_", written[2:-1])
        return (
            f"write ${{{name}}}: '_' is all that joins words" if _ENV.match(name) else VARIABLE_FIX
        )
    if not found[2]:
        return f"write ${{{found[1]}}}"
    return f"write ${{{found[1]}}}, without a default: what is not set is an error"


def meant(text: str) -> str | None:
    """Return the variable that a text names as shells, Windows or templates do; None: it names none."""
    found = _OTHER_WAY.match(text)
    return None if found is None else found[1]


def fill(
    config: Mapping[str, Any],
    secrets: Mapping[str, SecretRef],
    value_of: Callable[[SecretRef], str],
) -> dict[str, Any]:
    """Return the config as a plugin sees it: every reference replaced by its value.

    A secret under `secrets:` becomes a key of its name. `config` itself is left as it is.
    """

    def filled(path: tuple[str | int, ...], node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: filled((*path, key), value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [filled((*path, at), value) for at, value in enumerate(node)]
        if not isinstance(node, str) or "${" not in node:
            return node
        seen: list[str] = []

        def replaced(token: re.Match[str]) -> str:
            if token[1] is None:
                return "${"
            key = _key(path, token[1], first=not seen or seen[0] == token[1])
            seen.append(token[1])
            return value_of(secrets[key])

        return _TOKEN.sub(replaced, node)

    whole: dict[str, Any] = filled((), config)
    for name, each in secrets.items():
        if not name.startswith(PREFIX):
            whole[name] = value_of(each)
    return whole


def mentioned(node: object) -> bool:
    """Tell whether any text in a config has a `${`. Asked of each entry, and nearly always no."""
    if isinstance(node, str):
        return "${" in node
    if isinstance(node, dict):
        node = node.values()
    elif not isinstance(node, list):
        return False
    for each in node:  # noqa: SIM110  a generator would double the time
        if mentioned(each):
            return True
    return False


def _texts(
    node: object, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(node, str):
        if "${" in node:
            yield path, node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, (*path, key))
    elif isinstance(node, list | tuple):
        for at, value in enumerate(node):
            yield from _texts(value, (*path, at))


def _key(path: tuple[str | int, ...], variable: str, *, first: bool) -> str:
    key = PREFIX + ".".join(map(str, path))
    return key if first else f"{key}#{variable}"
