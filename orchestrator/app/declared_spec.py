"""What files declare, as the spec of a PluginSet."""

from collections.abc import Sequence
from typing import Any

from ntp.contract.problem import Problem
from orchestrator.errors import ConfigError
from orchestrator.spec import source


def spec_of(sources: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what files declare together as a spec.

    Raises:
        ConfigError: one of them is no YAML.
    """
    problems: list[Problem] = []
    defaults: dict[str, Any] = {}
    plugins: dict[str, Any] = {}
    for file, text in sources:
        try:
            value = source.parse(text, file=file).value or {}
        except ConfigError as error:
            problems += error.problems
            continue
        for key, said in (value.get("defaults") or {}).items():
            both = {**defaults[key], **said} if isinstance(defaults.get(key), dict) else said
            defaults[key] = both
        for section, entries in (value.get("plugins") or {}).items():
            plugins[section] = [*plugins.get(section, []), *(entries or [])]
    if problems:
        raise ConfigError(problems)
    return {**({"defaults": defaults} if defaults else {}), "plugins": plugins}
