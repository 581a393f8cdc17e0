"""An entry's `config` against the schema of its plugin. The schema is hostile until shown otherwise.

Most configs are good, so a few closures say yes in a microsecond; only a no goes through jsonschema,
and how much work that may be is known before it begins.
"""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from ntp.contract.config_schema import SchemaError, expand
from orchestrator.spec.config_accept import Accept, acceptor
from orchestrator.spec.config_keywords import UnusableError

MAX_STEPS: Final = 1_000_000
"""Branches of the schema times values of the config."""


GIVEN: Final = "${}"
"""Stands for a value from `secrets:`: whatever it is."""


class Complaint(NamedTuple):
    """`path`: inside the config."""

    path: tuple[str | int, ...]
    message: str
    fix: str


class Checker:
    """For one plugin; asked by each of its entries."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._fault: str | None = None
        self._accept: Accept | None = None
        try:
            expand(schema)
            self._accept = acceptor(schema)
        except SchemaError as error:
            self._fault = str(error)

    def complaints(
        self, config: Mapping[str, Any], *, given: Collection[str] = ()
    ) -> list[Complaint]:
        """Return what the plugin would refuse. `given`: keys that come from `secrets:`.

        Where a secret stands, only its type is checked: nobody knows it yet.
        """
        if self._accept is not None and self._accept(config):
            return []
        if self._fault is None:
            # Slow to import, and most files are good.
            from orchestrator.spec import config_refusal

            whole = {**config, **dict.fromkeys(given, GIVEN)}
            values = _count(whole)
            if values * self._branches > MAX_STEPS:
                message = (
                    f"config has {values:,} values, too many to check with this plugin's schema"
                )
                return [Complaint((), message, "make it smaller")]
            try:
                config_refusal.check_schema(self._schema)
                return config_refusal.refusals(self._schema, whole)
            except UnusableError as error:
                self._fault = str(error)
        message = f"the plugin's config_schema cannot be used: {self._fault}"
        fix = "tell the plugin's author; nothing in this file is wrong"
        return [Complaint((), message, fix)]

    @cached_property
    def _branches(self) -> int:
        return _branches(self._schema, self._schema.get("$defs", {}))


def _count(value: Any) -> int:
    """Count the values in it; far enough to know that they are too many."""
    count, stack = 0, [value]
    while stack and count <= MAX_STEPS:
        node = stack.pop()
        count += 1
        if isinstance(node, Mapping):
            stack.extend(node.values())
            count += len(node)
        elif isinstance(node, list):
            stack.extend(node)
    return count


def _branches(node: Any, definitions: Mapping[str, Any]) -> int:
    """Count the mappings of a schema with every `$ref` followed; `expand` has bounded them."""
    count, stack = 0, [node]
    while stack and count <= MAX_STEPS:
        each = stack.pop()
        if isinstance(each, Mapping):
            count += 1
            stack.extend(value for key, value in each.items() if key != "$defs")
            if isinstance(each.get("$ref"), str):
                stack.append(definitions.get(each["$ref"].removeprefix("#/$defs/")))
        elif isinstance(each, list):
            stack.extend(each)
    return max(count, 1)
