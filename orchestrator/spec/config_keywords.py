"""Two keywords of JSON Schema in bounded time: `pattern` by a linear-time engine, `uniqueItems` by text."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from orchestrator.spec.quantity import shown

MAX_MATCHED: Final = 65_536
"""Characters of a text that a pattern is tried on."""


class UnusableError(Exception):
    """The plugin's schema itself is at fault."""


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that says whether a text holds what the pattern describes.

    Rust's engine (pydantic-core's), never `re`. A text of more than MAX_MATCHED characters does not match.

    Raises:
        UnusableError: the pattern cannot be matched in linear time.
    """
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # few schemas have one

    try:
        made = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        raise UnusableError(f"the pattern {shown(pattern)} cannot be matched") from error
    return lambda text: len(text) <= MAX_MATCHED and made.isinstance_python(text)


def unique(items: Sequence[Any]) -> bool:
    """Say whether no item is there twice; jsonschema compares every two of them."""
    return len({json.dumps(_integral(item), sort_keys=True) for item in items}) == len(items)


def _integral(value: Any) -> Any:
    """Make 1.0 and 1 one value, as JSON Schema has it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_integral(each) for each in value]
    if isinstance(value, dict):
        return {key: _integral(each) for key, each in value.items()}
    return value
