"""The wiring's drawing says who hears whom: read back with nothing but its characters, it is the graph."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.wiring_layout import lay_out
from orchestrator.cli.wiring_text import draw

LETTER = {"data_source": "d", "indicator": "i", "strategy": "s", "executor": "e"}
THICK_UP, THICK_DOWN, THICK_RIGHT = "┃┣┗┨┚┸╂╋●", "┃┣┏┨┒┰╂╋●", "┣┏┗"
ENDS, GOES_ON, PASSES = "┨┒┚", "┰┸●", "─╂"


def plugin(name, kind, state="Running"):
    return {
        "name": name,
        "kind": kind,
        "plugin": name,
        "symbols": [],
        "state": state,
        "ready": True,
    }


def edge(producer, consumer, channel):
    return {"from": producer, "to": consumer, "channel": channel, "symbols": [], "bars": None}


def wired(counts, choose):
    """Return a graph with so many plugins of each kind; `choose(names)` says whom one hears."""
    names = {
        kind: [f"{letter}{number:02}" for number in range(count)]
        for (kind, letter), count in zip(LETTER.items(), counts, strict=True)
    }
    sources, indicators, strategies, executors = names.values()
    edges = [edge(each, name, "data") for name in indicators for each in choose(sources)]
    for name in strategies:
        edges += [edge(each, name, "data") for each in choose(sources)]
        edges += [edge(each, name, "indicator") for each in choose(indicators)]
    edges += [edge(each, name, "signal") for name in executors for each in choose(strategies)]
    plugins = [plugin(name, kind) for kind, listed in names.items() for name in listed]
    return {"project": "desk", "revision": 1, "plugins": plugins, "edges": edges}


class Picture:
    """Reads as a person does: thin lines lead into thick ones, thick ones to arrows, never back."""

    def __init__(self, graph, width):
        self.rows = ["".join(text for text, _ in row) for row in draw(lay_out(graph, width=width))]

    def at(self, x, y):
        return self.rows[y][x] if 0 <= y < len(self.rows) and x < len(self.rows[y]) else " "

    def edges(self):
        found = set()
        for y, row in enumerate(self.rows):
            for part in row.split("│"):
                name = part.strip()
                if len(name) == 3 and name[0] in LETTER.values():
                    x = row.index(f"│ {name} ") + 2
                    end = row.index("│", x) + 1
                    found |= {(name, each) for each in self.thin(end, y)}
        return found

    def thin(self, x, y):
        """Follow a thin line to the right; yield who is reached."""
        if self.at(x, y) not in "─◀┒┚┨┰┸●╂":
            return
        while True:
            glyph = self.at(x, y)
            if glyph in ENDS + GOES_ON:
                yield from self.trunk(x, y)
            if glyph in ENDS:
                return
            assert glyph in GOES_ON + PASSES + "◀", (glyph, x, y)
            x += 1

    def trunk(self, x, y):
        top = bottom = y
        while self.at(x, top) in THICK_UP:
            top -= 1
        while self.at(x, bottom) in THICK_DOWN:
            bottom += 1
        for row in range(top, bottom + 1):
            if self.at(x, row) in THICK_RIGHT:
                yield from self.thick(x + 1, row)

    def thick(self, x, y):
        while self.at(x, y) in "━╋":
            x += 1
        if self.at(x, y) == "▶":
            yield self.name(x + 2, y)
        else:
            assert self.at(x, y) == "┙", (self.at(x, y), x, y)
            assert self.at(x, y - 1) == "╭"
            yield from self.thin(x + 1, y - 1)

    def name(self, x, y):
        # One hears on the row below that of its name.
        return self.rows[y - 1][x:].partition("│")[0].strip()


@given(
    counts=st.tuples(*[st.integers(1, 5)] * 2, st.integers(1, 6), st.integers(0, 3)),
    chance=st.randoms(use_true_random=False),
    width=st.sampled_from([80, 120, 10_000]),
)
def test_what_is_drawn_is_what_is_wired(counts, chance, width):
    graph = wired(counts, lambda names: chance.sample(names, chance.randint(0, len(names))))

    wanted = {(each["from"], each["to"]) for each in graph["edges"]}
    assert Picture(graph, width).edges() == wanted


@pytest.mark.parametrize("width", [80, 120])
def test_twenty_plugins_wired_by_hand_stay_within_the_terminal(width):
    chance = random.Random(3)
    graph = wired((4, 5, 8, 3), lambda names: chance.sample(names, min(2, len(names))))

    picture = Picture(graph, width)
    assert max(map(len, picture.rows)) <= width
    assert picture.edges() == {(each["from"], each["to"]) for each in graph["edges"]}
