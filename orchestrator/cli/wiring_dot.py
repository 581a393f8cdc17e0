"""The wiring for Graphviz: every edge, for who wants to lay it out otherwise."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.cli.wiring_layout import KINDS


def dot(graph: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for line in _lines(graph))


def _lines(graph: Mapping[str, Any]) -> Iterator[str]:
    yield f"digraph {_text(graph['project'])} {{"
    yield "  rankdir=LR;"
    yield "  node [shape=box, style=rounded];"
    for kind in KINDS:
        names = [each["name"] for each in graph["plugins"] if each["kind"] == kind]
        if names:
            yield f"  {{ rank=same; {' '.join(f'{_text(name)};' for name in names)} }}"
    for each in graph["edges"]:
        bars = [f"bars {each['bars']}"] if each["bars"] else []
        label = ", ".join([each["channel"], *bars, *each["symbols"]])
        # Fills run against the stream: they must not decide who stands where.
        back = ", constraint=false, style=dashed" if each["channel"] == "fill" else ""
        yield f"  {_text(each['from'])} -> {_text(each['to'])} [label={_text(label)}{back}];"
    yield "}"


def _text(text: str) -> str:
    """Quote as dot reads it: a backslash before a quote; other backslashes are its own escapes."""
    return json.dumps(text.replace("\\", ""), ensure_ascii=False)
