"""The wiring as drawing, picture and Graphviz text."""

from xml.etree import ElementTree as ET

import pytest

from orchestrator.cli.wiring_dot import dot
from orchestrator.cli.wiring_layout import broken, lay_out, notes
from orchestrator.cli.wiring_svg import svg
from orchestrator.cli.wiring_text import draw

DEFAULT = {
    "project": "desk",
    "revision": 3,
    "plugins": [
        {
            "name": name,
            "kind": kind,
            "plugin": name,
            "symbols": symbols,
            "state": state,
            "ready": True,
        }
        for name, kind, symbols, state in (
            ("replay_data", "data_source", ["BTCUSDT"], "Running"),
            ("rsi_indicator", "indicator", [], "Running"),
            ("bollinger_strategy", "strategy", [], "Running"),
            ("momentum_strategy", "strategy", [], "CrashLoop"),
            ("paper_executor", "executor", [], "Running"),
        )
    ],
    "edges": [
        {"from": producer, "to": consumer, "channel": channel, "symbols": symbols, "bars": bars}
        for producer, consumer, channel, symbols, bars in (
            ("replay_data", "rsi_indicator", "data", [], None),
            ("replay_data", "bollinger_strategy", "data", ["BTCUSDT"], "5m"),
            ("rsi_indicator", "bollinger_strategy", "indicator", [], None),
            ("paper_executor", "bollinger_strategy", "fill", [], None),
            ("replay_data", "momentum_strategy", "data", [], None),
            ("rsi_indicator", "momentum_strategy", "indicator", [], None),
            ("paper_executor", "momentum_strategy", "fill", [], None),
            ("replay_data", "paper_executor", "data", [], None),
            ("bollinger_strategy", "paper_executor", "signal", [], None),
            ("momentum_strategy", "paper_executor", "signal", [], None),
        )
    ],
}

AT_80 = """\
SOURCES            INDICATORS           STRATEGIES            EXECUTORS

┌─────────────┐    ┌───────────────┐    ┌───────────────┐     ┌────────────────┐
│ replay_data │─┒  │ rsi_indicator │─┒  │ bollinger_    │◀─┒  │ paper_executor │
│ Running     │ ┣━▶│ Running       │ ┣━▶│ strategy      │  ┣━▶│ Running        │
│             │ ┃  │               │ ┃  │ Running       │  ┃  │                │
└─────────────┘ ┃  └───────────────┘ ┃  └───────────────┘  ┃  └────────────────┘
                ┃                    ┃  ┌───────────────┐  ┃
                ┃          ╭─────────┨  │ momentum_     │◀─┚
                ┗━━━━━━━━━━┙         ┗━▶│ strategy      │
                                        │ CrashLoop     │
                                        └───────────────┘
"""


def drawn(width):
    rows = draw(lay_out(DEFAULT, width=width))
    return "".join("".join(text for text, _ in row) + "\n" for row in rows)


def test_the_default_wiring_at_80_columns():
    assert drawn(80) == AT_80


def test_a_wider_terminal_breaks_no_name():
    assert "│ bollinger_strategy │" in drawn(120)
    assert len(drawn(120).splitlines()) == len(AT_80.splitlines()) - 2


def test_a_state_has_its_colour():
    styles = {
        text.strip(" │"): style for row in draw(lay_out(DEFAULT, width=80)) for text, style in row
    }
    assert styles["CrashLoop"] == "red"
    assert styles["Running"] == "green"


def test_nothing_is_drawn_of_nothing():
    assert list(draw(lay_out({"plugins": [], "edges": []}, width=80))) == []


def test_symbols_bars_and_what_an_executor_trades_on_are_told():
    assert list(notes(DEFAULT)) == [
        ("replay_data", "sends BTCUSDT"),
        ("bollinger_strategy", "hears replay_data: bars 5m, BTCUSDT"),
        ("paper_executor", "trades on replay_data"),
    ]


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("rsi", 9, ["rsi"]),
        ("mean_reversion-fast", 10, ["mean_", "reversion-", "fast"]),
        ("averylongname", 8, ["averylo…"]),
    ],
)
def test_names_are_broken_at_their_dashes_before_they_are_cut(name, width, lines):
    assert broken(name, width) == lines


def test_the_picture_stands_for_itself_and_is_well_formed():
    hostile = {**DEFAULT, "project": 'a<b>&"c'}
    hostile["plugins"] = [{**each, "symbols": ["<script>"]} for each in DEFAULT["plugins"]]
    text = svg(hostile)
    root = ET.fromstring(text)  # noqa: S314 - our own text

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "<script>" not in text
    assert text.count("http") == 1, "nothing comes from elsewhere"
    words = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {each["name"] for each in DEFAULT["plugins"]} <= set(words)
    assert "CrashLoop" in words


SVG = "{http://www.w3.org/2000/svg}"


def pictured(graph):
    root = ET.fromstring(svg(graph))  # noqa: S314 - our own text
    words = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    return root, words


def test_the_picture_draws_every_line_arrow_and_state():
    root, words = pictured(DEFAULT)
    drawing = lay_out(DEFAULT, width=10_000)
    paths = [each.get("d") for each in root.iter(f"{SVG}path")]
    heads = [each for each in paths if each.endswith("v8z")]
    assert len(paths) - len(heads) == len(drawing.lines)
    assert len(heads) == len(drawing.arrows) + len(drawing.back)
    assert (len(drawing.arrows), len(drawing.back)) == (4, 2)
    dots = [each.get("fill") for each in root.iter(f"{SVG}circle")]
    assert dots.count("#16a34a") == 4, "running"
    assert dots.count("#dc2626") == 1, "in a crash loop"
    assert len(dots) == len(DEFAULT["plugins"]) + len(drawing.joins)
    assert any(each.endswith("revision 3") for each in words)
    assert any(each.endswith("; green arrows: fills") for each in words)


def test_the_picture_of_files_has_no_state_and_names_no_fills_where_there_are_none():
    plugins = [{**each, "state": None} for each in DEFAULT["plugins"]]
    edges = [each for each in DEFAULT["edges"] if each["channel"] != "fill"]
    root, words = pictured({"project": "desk", "revision": 0, "plugins": plugins, "edges": edges})
    assert {each.get("r") for each in root.iter(f"{SVG}circle")} <= {"2.6"}, "no dot of a state"
    assert any(each.endswith("not applied") for each in words)
    assert not any("fills" in each for each in words)


def test_a_dot_joins_what_ends_in_a_trunk_and_goes_on():
    heard = {
        "alpha": ["feed"], "beta": ["feed", "other"], "gamma": ["other"],
    }  # fmt: skip
    plugins = [
        {"name": name, "kind": kind, "plugin": name, "symbols": [], "state": "Running", "ready": True}
        for name, kind in (
            ("feed", "data_source"), ("other", "data_source"),
            *((name, "strategy") for name in heard),
        )
    ]  # fmt: skip
    edges = [
        {"from": source, "to": name, "channel": "data", "symbols": [], "bars": None}
        for name, sources in heard.items()
        for source in sources
    ]
    graph = {"project": "desk", "revision": 1, "plugins": plugins, "edges": edges}
    joins = lay_out(graph, width=10_000).joins
    root, _ = pictured(graph)
    assert joins
    assert len([each for each in root.iter(f"{SVG}circle") if each.get("r") == "2.6"]) == len(joins)


def test_dot_has_every_edge_and_quotes_what_it_is_given():
    text = dot({**DEFAULT, "project": 'a"b\\'})

    assert text.startswith('digraph "a\\"b" {\n')
    assert text.count(" -> ") == len(DEFAULT["edges"])
    assert '  "replay_data" -> "bollinger_strategy" [label="data, bars 5m, BTCUSDT"];\n' in text
    assert "constraint=false" in text
