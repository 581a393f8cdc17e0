"""Where boxes and lines of the wiring stand on a grid of characters; pure, and drawn by others.

A column for each kind. Between two columns all who hear exactly the same share one trunk:

    producer ──┒                   as many trunks as there are different sets of producers, not as
               ┣━▶ consumer        there are edges: by default every strategy hears every source.
    producer ──┨                   Thin lines come out of somebody and end in trunks; thick ones
               ┗━▶ consumer        lead to somebody, so nothing flows from a trunk into a thin line

What goes past a column (a source heard by a strategy, past the indicators) has a passage in it. A
box is heard on one row and hears on the next, so that lines of two trunks cross but never overlap.
The data that executors trade on is that of their strategies: it is told in `notes`, not drawn.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS = {
    "data_source": "SOURCES",
    "indicator": "INDICATORS",
    "strategy": "STRATEGIES",
    "executor": "EXECUTORS",
}
NARROWEST = 12
"""Columns of a box: names are broken at their dashes before they are cut."""
_TOP = 2
"""The row of headings, and a free one."""


@dataclass(slots=True)
class Item:
    """A box, or with `plugin` None a passage; `hears`: items of the column before."""

    plugin: Mapping[str, Any] | None
    hears: list["Item"] = field(default_factory=list)
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0
    lines: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """A passage is there for data alone."""
        return self.plugin["kind"] if self.plugin else "data_source"

    @property
    def out(self) -> int:
        return self.y + 1

    @property
    def into(self) -> int:
        return self.y + 2


@dataclass(frozen=True, slots=True)
class Line:
    """From one point to another on the same row or in the same column.

    `kind`: of whom the line comes out, if it does: then it is thin; the others lead to somebody.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    kind: str = ""


@dataclass(slots=True)
class Drawing:
    width: int = 0
    height: int = 0
    headings: list[tuple[int, str]] = field(default_factory=list)
    boxes: list[Item] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    joins: set[tuple[int, int]] = field(default_factory=set)
    """Where a line meets its trunk; where lines cross without one, they have nothing to do with each other."""
    arrows: list[tuple[int, int]] = field(default_factory=list)
    """To the right, into a box."""
    back: list[tuple[int, int]] = field(default_factory=list)
    """To the left: fills, from an executor to the strategies that it serves."""


def lay_out(graph: Mapping[str, Any], *, width: int) -> Drawing:
    """Return a drawing at most `width` wide, if boxes and lines leave that choice."""
    columns = _columns(graph)
    if not columns:
        return Drawing()
    drawing = Drawing()
    # Trunks side by side are harder to follow: only where there is no room for more.
    spacing = 2 if _fits(columns, width, spacing=2) else 1
    gaps = _gaps(columns, spacing)
    widths = _widths(columns, width - sum(gaps))
    _place(columns, widths, gaps, drawing)
    for at, column in enumerate(columns[1:]):
        _connect(column, columns[at + 1][0].x - gaps[at], spacing, drawing)
    return drawing


def notes(graph: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (plugin, words): what a line cannot say, such as symbols and bars."""
    heard: dict[str, list[str]] = defaultdict(list)
    kinds = {each["name"]: each["kind"] for each in graph["plugins"]}
    for edge in graph["edges"]:
        words = [*([f"bars {edge['bars']}"] if edge["bars"] else []), *edge["symbols"]]
        trades = edge["channel"] == "data" and kinds[edge["to"]] == "executor"
        if trades or (words and edge["channel"] != "fill"):
            heard[edge["to"]].append(f"{edge['from']}{': ' * bool(words)}{', '.join(words)}")
    for each in graph["plugins"]:
        if each["kind"] == "data_source" and each["symbols"]:
            yield each["name"], f"sends {', '.join(each['symbols'])}"
        if heard[each["name"]]:
            verb = "trades on" if each["kind"] == "executor" else "hears"
            yield each["name"], f"{verb} {'; '.join(heard[each['name']])}"


def _columns(graph: Mapping[str, Any]) -> list[list[Item]]:
    """Return a column for each kind that is there, in the order in which data flows."""
    items = {each["name"]: Item(each) for each in graph["plugins"]}
    by_kind = {kind: [each for each in items.values() if each.kind == kind] for kind in KINDS}
    direct: dict[str, list[Item]] = defaultdict(list)
    for edge in graph["edges"]:
        producer, consumer = items[edge["from"]], items[edge["to"]]
        if edge["channel"] == "fill" or producer in consumer.hears:
            continue
        if consumer.kind == "executor" and edge["channel"] == "data":
            continue
        if consumer.kind == "strategy" and edge["channel"] == "data" and by_kind["indicator"]:
            if producer not in direct[edge["to"]]:
                direct[edge["to"]].append(producer)
        else:
            consumer.hears.append(producer)
    passages: dict[tuple[int, ...], Item] = {}
    for name, sources in direct.items():
        passage = passages.setdefault(_key(sources), Item(None, sources))
        items[name].hears.append(passage)
    by_kind["indicator"] += passages.values()
    columns = [column for column in by_kind.values() if column]
    for before, column in itertools.pairwise(columns):
        rank = {id(each): number for number, each in enumerate(before)}
        column.sort(key=lambda item: _middle(item, rank))
    return columns


def _middle(item: Item, rank: Mapping[int, int]) -> float:
    """Those who hear the upper ones stand higher: fewer crossings, for little thought."""
    ranks = [rank[id(each)] for each in item.hears if id(each) in rank]
    return sum(ranks) / len(ranks) if ranks else 0.0


def _key(items: Iterable[Item]) -> tuple[int, ...]:
    return tuple(sorted(map(id, items)))


def _groups(column: Sequence[Item]) -> list[list[Item]]:
    """Return those who hear exactly the same, together."""
    found: dict[tuple[int, ...], list[Item]] = defaultdict(list)
    for item in column:
        if item.hears:
            found[_key(item.hears)].append(item)
    return list(found.values())


def _tracks(column: Sequence[Item]) -> int:
    return max(len(_groups(column)), 1)


def _lead(column: Sequence[Item]) -> int:
    return 2 if any(each.kind == "executor" for each in column) else 1


def _fits(columns: Sequence[Sequence[Item]], width: int, *, spacing: int) -> bool:
    gaps = _gaps(columns, spacing)
    return sum(gaps) + sum(_widths(columns, width - sum(gaps))) <= width


def _gaps(columns: Sequence[Sequence[Item]], spacing: int) -> list[int]:
    return [_lead(column) + spacing * _tracks(column) + 1 for column in columns[1:]]


def _widths(columns: Sequence[Sequence[Item]], room: int) -> list[int]:
    """Return a width for each column: as its names need, the widest narrowed until all have room."""
    widths = []
    for column in columns:
        plugins = [each.plugin for each in column if each.plugin]
        longest = max(max(len(each["name"]), len(info(each))) for each in plugins)
        widths.append(max(longest + 4, NARROWEST))
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def info(plugin: Mapping[str, Any]) -> str:
    """The second thing to say of a plugin: its state; where nothing runs, whose code it is."""
    if plugin["state"]:
        return str(plugin["state"])
    return str(plugin["plugin"]) if plugin["plugin"] != plugin["name"] else ""


def _place(
    columns: Sequence[Sequence[Item]],
    widths: Sequence[int],
    gaps: Sequence[int],
    drawing: Drawing,
) -> None:
    for column, width in zip(columns, widths, strict=True):
        for item in column:
            if item.plugin:
                name = broken(item.plugin["name"], width - 4)
                item.lines = (*name, broken(info(item.plugin), width - 4)[0])
    # As high as the highest of all: then no two ports of neighbours share a row by chance.
    height = max(len(item.lines) for column in columns for item in column) + 2
    most = max(map(len, columns))
    x = 0
    for column, width, gap in zip(columns, widths, [*gaps, 0], strict=True):
        kind = next(item.kind for item in column if item.plugin)
        drawing.headings.append((x, KINDS[kind]))
        for number, item in enumerate(column):
            row = number + (most - len(column)) // 2
            item.x, item.y, item.width, item.height = x, _TOP + row * height, width, height
            if item.plugin:
                drawing.boxes.append(item)
            else:
                turn = x + width // 2
                drawing.lines += [
                    Line(x - 1, item.into, turn, item.into),
                    Line(turn, item.out, turn, item.into, item.kind),
                    Line(turn, item.out, x + width, item.out, item.kind),
                ]
        x += width + gap
    drawing.width, drawing.height = x, _TOP + most * height


def _connect(column: Sequence[Item], left: int, spacing: int, drawing: Drawing) -> None:
    """Draw what `column` hears, in the gap that begins at `left`."""
    lead = _lead(column)
    reach: dict[int, tuple[Item, int]] = {}
    for track, group in enumerate(_groups(column)):
        x = left + lead + spacing * track
        rows = [each.out for each in group[0].hears] + [each.into for each in group]
        drawing.lines.append(Line(x, min(rows), x, max(rows)))
        drawing.joins |= {(x, row) for row in rows}
        for producer in group[0].hears:
            reach[id(producer)] = producer, x
        for consumer in group:
            drawing.lines.append(Line(x, consumer.into, consumer.x - 1, consumer.into))
            if consumer.plugin:
                drawing.arrows.append((consumer.x - 1, consumer.into))
    for producer, x in reach.values():
        drawing.lines.append(Line(left, producer.out, x, producer.out, producer.kind))
        if lead == 2:
            drawing.back.append((left, producer.out))


def broken(text: str, width: int) -> list[str]:
    """Break a name after `_` or `-` where it can be; a part that is still too long is cut."""
    lines: list[str] = [""]
    for part in text.replace("_", "_\0").replace("-", "-\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return [each if len(each) <= width else f"{each[: width - 1]}…" for each in lines]
