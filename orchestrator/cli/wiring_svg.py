"""The wiring as a picture for a document: one SVG that needs no font, script or style from elsewhere."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from orchestrator.cli.wiring_layout import Drawing, Item, info, lay_out, notes
from orchestrator.cli.words import state_style

CELL_X, CELL_Y = 9.0, 19.0
"""Pixels of a place on the grid."""
MARGIN = 24
_HEAD = 52
_NOTE = 18
_WIDE = 10_000
"""Nothing needs to be broken: a picture is scaled to its page."""
_INK = {
    "data_source": ("#1d4ed8", "#eff6ff"),
    "indicator": ("#6d28d9", "#f5f3ff"),
    "strategy": ("#b45309", "#fffbeb"),
    "executor": ("#047857", "#ecfdf5"),
}
_LINE = "#64748b"
_STATES = {"green": "#16a34a", "yellow": "#eab308", "red": "#dc2626", "dim": "#94a3b8"}
_STYLE = (
    "text{font:13px system-ui,'Segoe UI','Helvetica Neue',Arial,sans-serif;fill:#0f172a}"
    ".b{font-weight:600}.s{fill:#475569;font-size:12px;font-weight:400}.h{font-weight:600;font-size:11px;letter-spacing:.08em}"
)


def svg(graph: Mapping[str, Any]) -> str:
    """Return the document."""
    drawing = lay_out(graph, width=_WIDE)
    told = [
        (name if at == 0 else "", line)
        for name, words in notes(graph)
        for at, line in enumerate(textwrap.wrap(words, max(60, drawing.width - 26)) or [""])
    ]
    width = max(drawing.width, 84) * CELL_X + 2 * MARGIN
    height = _HEAD + drawing.height * CELL_Y + len(told) * _NOTE + 2 * MARGIN + _NOTE
    title = f"{graph['project']}: who hears whom"
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
                f'width="{width:g}" height="{height:g}" role="img" aria-label="{_quoted(title)}">'
            ),
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#ffffff"/>',
            (
                f'<text class="b" x="{MARGIN}" y="{MARGIN + 8}">{escape(title)}'
                f'<tspan class="s" dx="10">{_when(graph)}</tspan></text>'
            ),
            f'<g transform="translate({MARGIN} {_HEAD})">',
            *_drawn(drawing),
            "</g>",
            *_told(told, _HEAD + drawing.height * CELL_Y + MARGIN),
            _key(graph, height - MARGIN / 2),
            "</svg>\n",
        ]
    )


def _when(graph: Mapping[str, Any]) -> str:
    return f"revision {graph['revision']}" if graph["revision"] else "not applied"


def _drawn(drawing: Drawing) -> Iterator[str]:
    for x, text in drawing.headings:
        yield f'<text class="h" x="{x * CELL_X:g}" y="{CELL_Y * 0.8:g}">{text}</text>'
    edges = {(box.x + box.width, box.out) for box in drawing.boxes}
    # Trunks first: what is heard keeps its colour up to the dot.
    for line in sorted(drawing.lines, key=lambda each: bool(each.kind)):
        ink = _INK[line.kind][0] if line.kind else _LINE
        # From the edge of its box, not from the middle of the place beside it.
        start = line.x1 * CELL_X if (line.x1, line.y1) in edges else _x(line.x1)
        yield (
            f'<path d="M{start:g} {_y(line.y1):g}L{_x(line.x2):g} {_y(line.y2):g}" '
            f'stroke="{ink}" stroke-width="{1.3 if line.kind else 2.4}" stroke-linecap="round"/>'
        )
    for x, y in sorted(drawing.joins):
        yield f'<circle cx="{_x(x):g}" cy="{_y(y):g}" r="2.6" fill="{_LINE}"/>'
    for x, y in drawing.arrows:
        yield _arrow((x + 1) * CELL_X, _y(y), -8, _LINE)
    for x, y in drawing.back:
        yield _arrow(x * CELL_X, _y(y), 8, _INK["executor"][0])
    for box in drawing.boxes:
        yield from _box(box)


def _arrow(x: float, y: float, back: float, ink: str) -> str:
    return f'<path d="M{x:g} {y:g}l{back:g} -4v8z" fill="{ink}"/>'


def _box(box: Item) -> Iterator[str]:
    plugin = box.plugin or {}
    ink, paper = _INK[box.kind]
    x, y = box.x * CELL_X, (box.y + 0.4) * CELL_Y
    width, height = box.width * CELL_X, (box.height - 0.8) * CELL_Y
    yield (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
        f'fill="{paper}" stroke="{ink}" stroke-width="1.2"/>'
    )
    yield f'<text class="b" x="{x + 11:g}" y="{_y(box.y + 1) + 4:g}">{escape(plugin["name"])}</text>'
    if told := info(plugin):
        yield f'<text class="s" x="{x + 11:g}" y="{_y(box.y + 2) + 4:g}">{escape(told)}</text>'
    if plugin["state"]:
        yield f'<circle cx="{x + width - 12:g}" cy="{_y(box.y + 1):g}" r="4" fill="{_STATES[state_style(plugin)]}"/>'


def _told(told: list[tuple[str, str]], top: float) -> Iterator[str]:
    for number, (name, words) in enumerate(told):
        y = top + number * _NOTE
        yield f'<text class="s" x="{MARGIN}" y="{y:g}">{escape(name)}</text>'
        yield f'<text class="s" x="{MARGIN + 190}" y="{y:g}">{escape(words)}</text>'


def _key(graph: Mapping[str, Any], y: float) -> str:
    said = "thin lines come out of a plugin, thick ones lead to one; without a dot they only cross"
    if any(each["channel"] == "fill" for each in graph["edges"]):
        said += "; green arrows: fills"
    return f'<text class="s" x="{MARGIN}" y="{y:g}">{said}</text>'


def _x(x: float) -> float:
    return (x + 0.5) * CELL_X


def _y(y: float) -> float:
    return (y + 0.5) * CELL_Y


def _quoted(text: str) -> str:
    return escape(text, {'"': "&quot;"})
