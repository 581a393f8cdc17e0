"""A plugins.yaml of any size, eight lines an entry, and the plugins that its entries run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ntp.contract.names import Kind
from orchestrator.spec.declared import Declared
from orchestrator.spec.model import Artifact

LINES_AN_ENTRY = 8
PLUGINS = ("replay_data", "rsi_indicator", "bollinger_strategy", "paper_executor")
TEMPLATE = {
    Kind.DATA_SOURCE: """\
    - name: {name}
      plugin: replay_data
      config:
        symbols: [{symbol}, {other}]
        speed: 1.5
      resources:
        memory: 256MB
        cpu: 0.5
""",
    Kind.INDICATOR: """\
    - name: {name}
      plugin: rsi_indicator
      config:
        period: {period}
      inputs:
        - {{from: {source}, symbols: [{symbol}]}}
      resources:
        memory: 128MB
""",
    Kind.STRATEGY: """\
    - name: {name}
      plugin: bollinger_strategy
      config:
        period: {period}
        std_dev: 2.25
      inputs:
        - {{from: {source}, symbols: [{symbol}]}}
        - {{from: {indicator}}}
""",
    Kind.EXECUTOR: """\
    - name: {name}
      plugin: paper_executor
      inputs: [{strategies}]
      storage: 64MB
      timeout: 10s
      resources:
        memory: 256MB
        cpu: 0.5
""",
}
SCHEMAS: Mapping[Kind, dict[str, Any]] = {
    Kind.DATA_SOURCE: {
        "symbols": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "speed": {"type": "number", "minimum": 0},
    },
    Kind.INDICATOR: {"period": {"type": "integer", "minimum": 1}},
    Kind.STRATEGY: {
        "period": {"type": "integer", "minimum": 2},
        "std_dev": {"type": "number", "exclusiveMinimum": 0},
    },
    Kind.EXECUTOR: {},
}


def text(count: int) -> str:
    """Return plugins.yaml with `count` entries: of 20, one source, two indicators, one executor."""
    sources = max(1, count // 20)
    indicators = max(1, count // 10)
    executors = max(1, count // 20)
    strategies = count - sources - indicators - executors
    sections = {
        Kind.DATA_SOURCE: sources,
        Kind.INDICATOR: indicators,
        Kind.STRATEGY: strategies,
        Kind.EXECUTOR: executors,
    }
    lines = ["plugins:\n"]
    for kind, number in sections.items():
        lines.append(f"  {kind.section}:\n")
        for at in range(number):
            # A strategy and its indicator hear the same source: else the file would be refused.
            source = at % indicators % sources
            lines.append(
                TEMPLATE[kind].format(
                    name=f"{kind}_{at:05}",
                    symbol=f"SYM{at % sources if kind is Kind.DATA_SOURCE else source:04}",
                    other="BTCUSDT",
                    period=10 + at % 50,
                    source=f"{Kind.DATA_SOURCE}_{source:05}",
                    indicator=f"{Kind.INDICATOR}_{at % indicators:05}",
                    strategies=", ".join(_traded(at, executors, strategies)),
                )
            )
    return "".join(lines)


def edited(before: str) -> str:
    """Return the file with one entry changed: the period of the last strategy."""
    head, mark, tail = before.rpartition("        std_dev: 2.25\n")
    return f"{head}        std_dev: 2.5\n{tail}" if mark else before


def artifacts(declared: Declared) -> dict[str, Artifact]:
    """Return what a catalog would have found: one plugin a kind, held in memory."""
    found = {
        kind: Artifact(
            plugin=kind.value,
            kind=kind.value,
            version="1.0.0",
            digest=f"sha256:{kind.value}",
            entrypoint=f"{kind.value}:Plugin",
            config_schema={
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "additionalProperties": False,
                "properties": properties,
            },
            egress=(),
            secrets=(),
            requirements=(),
            code=Path("code") / kind.value,
            origin="memory",
        )
        for kind, properties in SCHEMAS.items()
    }
    return {name: found[entry.kind] for name, entry in declared.entries.items()}


def _traded(executor: int, executors: int, strategies: int) -> Iterator[str]:
    for at in range(executor, strategies, executors):
        yield f"{{from: {Kind.STRATEGY}_{at:05}}}"
