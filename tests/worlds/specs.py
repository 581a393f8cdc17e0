"""Small declared worlds for tests of decisions and of the loop."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ntp.contract.names import Kind
from orchestrator.decide.layers import hashes, layers
from orchestrator.decide.state import Hashes
from orchestrator.spec.model import Desired, Input, Place, PluginSpec, Resources

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MIB = 1 << 20


def spec(
    name: str,
    kind: Kind = Kind.STRATEGY,
    *,
    inputs: Iterable[str] = (),
    memory: int = 512 * MIB,
    config: dict[str, Any] | None = None,
    **other: Any,
) -> PluginSpec:
    return PluginSpec(
        name=name,
        kind=kind,
        plugin=name,
        version="1.0.0",
        digest="sha256:" + "ab" * 32,
        entrypoint=f"{name}:Plugin",
        config=config or {},
        inputs=tuple(Input(producer) for producer in inputs),
        resources=Resources(memory=memory, cpu=1.0, pids=64, tmp=64 * MIB),
        place=Place(str(Path("plugins.yaml")), 3, 5),
        **other,
    )


def desired(*specs: PluginSpec, revision: int = 1) -> Desired:
    return Desired("desk", revision, {each.name: each for each in specs})


def layers_of(each: PluginSpec) -> dict[str, dict[str, Any]]:
    return layers(each, listens=(), secrets={})


def hashes_of(wanted: Desired) -> dict[str, Hashes]:
    return {name: hashes(layers_of(each)) for name, each in wanted.plugins.items()}


def changed(each: PluginSpec, **fields: Any) -> PluginSpec:
    return replace(each, **fields)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)
