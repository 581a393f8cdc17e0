"""The wiring drawn with characters, each line as pieces of text and style."""

from collections.abc import Iterator, Mapping
from itertools import groupby

from orchestrator.cli.wiring_layout import Drawing, Item, Line
from orchestrator.cli.words import state_style

Piece = tuple[str, str]
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
THICK = 4
"""Bits by which a way of a thick line is shifted."""
_THIN = {
    UP | DOWN: "│", LEFT: "─", RIGHT: "─", LEFT | RIGHT: "─", DOWN | RIGHT: "╭",
}  # fmt: skip
_THICK = {
    UP | DOWN: "┃", LEFT: "━", RIGHT: "━", LEFT | RIGHT: "━",
    DOWN | RIGHT: "┏", UP | RIGHT: "┗", UP | DOWN | RIGHT: "┣", UP | DOWN | LEFT | RIGHT: "╋",
}  # fmt: skip
_MIXED = {
    (LEFT, UP | DOWN): "┨", (LEFT, DOWN): "┒", (LEFT, UP): "┚",
    (LEFT | RIGHT, DOWN): "┰", (LEFT | RIGHT, UP): "┸", (LEFT | RIGHT, UP | DOWN): "╂",
    (UP, LEFT): "┙",
}  # fmt: skip
_GLYPHS = {
    **_THIN,
    **{ways << THICK: glyph for ways, glyph in _THICK.items()},
    **{thin | thick << THICK: glyph for (thin, thick), glyph in _MIXED.items()},
}
_PASSES = "╂"
JOINED = "●"
"""A thin line that ends here and goes on as well; in a plain cross the two only pass each other."""


class _Canvas:
    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], Piece] = {}

    def write(self, x: int, y: int, text: str, style: str = "") -> None:
        for at, glyph in enumerate(text):
            self.cells[x + at, y] = glyph, style


def draw(drawing: Drawing) -> Iterator[list[Piece]]:
    """Yield each row as pieces, without blanks at its end."""
    canvas = _Canvas()
    _lines(drawing, canvas)
    for x, text in drawing.headings:
        canvas.write(x, 0, text, "bold")
    for box in drawing.boxes:
        _box(box, canvas)
    rows = max((y for _, y in canvas.cells), default=-1) + 1
    for y in range(rows):
        end = max((x for x, row in canvas.cells if row == y), default=-1) + 1
        cells = [canvas.cells.get((x, y), (" ", "")) for x in range(end)]
        yield [
            ("".join(glyph for glyph, _ in run), style)
            for style, run in groupby(cells, key=lambda cell: cell[1])
        ]


def _lines(drawing: Drawing, canvas: _Canvas) -> None:
    ways: dict[tuple[int, int], int] = {}
    for line in drawing.lines:
        for cell, way in _cells(line):
            ways[cell] = ways.get(cell, 0) | way << (0 if line.kind else THICK)
    for cell, way in ways.items():
        glyph = _GLYPHS[way]
        glyph = JOINED if glyph == _PASSES and cell in drawing.joins else glyph
        canvas.cells[cell] = glyph, "dim"
    for x, y in drawing.arrows:
        canvas.write(x, y, "▶", "dim")
    for x, y in drawing.back:
        canvas.write(x, y, "◀", "dim")


def _cells(line: Line) -> Iterator[tuple[tuple[int, int], int]]:
    if line.y1 == line.y2:
        for x in range(line.x1, line.x2 + 1):
            yield (x, line.y1), LEFT * (x > line.x1) | RIGHT * (x < line.x2)
    else:
        for y in range(line.y1, line.y2 + 1):
            yield (line.x1, y), UP * (y > line.y1) | DOWN * (y < line.y2)


def _box(box: Item, canvas: _Canvas) -> None:
    inner = box.width - 2
    style = _style(box.plugin or {})
    canvas.write(box.x, box.y, f"┌{'─' * inner}┐", style)
    for row in range(1, box.height - 1):
        text = box.lines[row - 1] if row <= len(box.lines) else ""
        canvas.write(box.x, box.y + row, "│", style)
        canvas.write(
            box.x + 1, box.y + row, f" {text:<{inner - 1}}", style if row >= len(box.lines) else ""
        )
        canvas.write(box.x + box.width - 1, box.y + row, "│", style)
    canvas.write(box.x, box.y + box.height - 1, f"└{'─' * inner}┘", style)


def _style(plugin: Mapping[str, object]) -> str:
    return state_style(plugin) if plugin.get("state") else ""
