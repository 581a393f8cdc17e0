"""Who hears whom, of what is applied or of files: the graph of the project as plain data."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.app import Declaration
from orchestrator.app.comparing import understood
from orchestrator.spec.wiring import edges


def graph(
    declared: Declaration, *, revision: int = 0, plugins: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return plugins and edges. `plugins`: their status, where something runs.

    Raises:
        ConfigError: the files have problems.
    """
    desired = understood(declared)
    seen = {each["name"]: each for each in plugins}
    return {
        "project": declared.settings.project,
        "revision": revision,
        "plugins": [
            {
                "name": name,
                "kind": spec.kind.value,
                "plugin": spec.plugin,
                "symbols": _symbols(spec.config),
                "state": seen[name]["state"] if name in seen else None,
                "ready": seen[name]["ready"] if name in seen else None,
            }
            for name, spec in desired.plugins.items()
        ],
        "edges": [
            {
                "from": each.producer,
                "to": each.consumer,
                "channel": each.channel.value,
                "symbols": list(each.symbols),
                "bars": each.bars,
                "policy": each.policy,
            }
            for each in edges(desired)
        ],
    }


def _symbols(config: Mapping[str, Any]) -> list[str]:
    """What a source's config calls `symbols`, as the bundled ones do; elsewhere nothing is known."""
    said = config.get("symbols")
    return (
        [each for each in said if isinstance(each, str)] if isinstance(said, list | tuple) else []
    )
