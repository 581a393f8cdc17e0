"""What `top` draws: whole figures in the columns there are, the rows in the order asked for."""

import re

import pytest
from rich.console import Console

from orchestrator.cli.top_view import SORTS, Picture, ordered

NOW = "2026-03-02T12:00:02+00:00"
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "SELL", "price": 61783.45, "confidence": 0.8,
          "size": None, "time": NOW, "at": "2026-03-02T12:00:00+00:00"}  # fmt: skip


def plugin(name, **fields):
    """A plugin as `status` has it."""
    usage = {"memory": 20 << 20, "memory_peak": 31 << 20, "memory_limit": 512 << 20, "pids": 4}
    flow = {"received_per_s": 2115.4, "sent_per_s": 0.04, "lost": 0, "late": 0, "skew_s": 0.25}
    given = {key: fields.pop(key) for key in [*fields] if key in usage | flow}
    return {
        "name": name, "kind": "strategy", "state": "Running", "message": "", "ready": True,
        "restarts": 0, "started": NOW, "cpu_share": 0.084, "signal": None,
        "isolation": {"tier": 3},
        "usage": {key: given.get(key, value) for key, value in usage.items()},
        "flow": {key: given.get(key, value) for key, value in flow.items()}, **fields,
    }  # fmt: skip


def answer(*plugins, conditions=()):
    return {
        "project": "desk",
        "revision": 3,
        "at": NOW,
        "conditions": conditions,
        "plugins": plugins,
    }


def drawn(given, width, height=24, **options):
    """The lines of a picture as a terminal of that size shows them."""
    console = Console(width=width, height=height, force_terminal=True, _environ={})
    lines = console.render_lines(Picture(given, **options), console.options, pad=False)
    return ["".join(part.text for part in line).rstrip() for line in lines]


def cells(lines):
    """Title -> cell of each row, under the line of titles."""
    start = next(number for number, line in enumerate(lines) if line.startswith("NAME "))
    titles = re.split(" {2,}", lines[start])
    rows = lines[start + 1 : lines.index("", start)]
    return [dict(zip(titles, re.split(" {2,}", row), strict=False)) for row in rows]


ROW = {
    "NAME": "bollinger_strategy", "KIND": "strategy", "STATE": "Running", "CPU%": "8.4",
    "MEMORY": "20M/512M", "PEAK": "31M", "PIDS": "4", "IN/S": "2115", "OUT/S": "0.04",
    "LAG": "250ms", "LOST": "0", "LATE": "0", "RESTARTS": "0", "LATEST": "SELL BTCUSDT 61783.45 2s",
}  # fmt: skip


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (60, "NAME STATE CPU% MEMORY LATEST"),
        (80, "NAME STATE CPU% MEMORY IN/S OUT/S LOST LATEST"),
        (120, "NAME STATE CPU% MEMORY PEAK PIDS IN/S OUT/S LAG LOST RESTARTS LATEST"),
        (160, " ".join(ROW)),
    ],
)
def test_no_figure_is_cut_and_a_wider_terminal_has_more(width, titles):
    lines = drawn(answer(plugin("bollinger_strategy", signal=SIGNAL), plugin("rsi")), width)
    first, second = cells(lines)

    assert max(map(len, lines)) <= width
    assert [*first] == titles.split()
    latest = first.pop("LATEST")
    assert first == {title: ROW[title] for title in first}
    assert ROW["LATEST"].startswith(latest.removesuffix("…")), "it alone gives way"
    assert (latest == ROW["LATEST"]) == (width >= 120)
    assert second["NAME"] == "rsi"


def test_what_does_not_run_is_told_instead_of_an_old_signal():
    bad = plugin("a", state="BackOff", ready=False, signal=SIGNAL, message="exit code 1\nagain")
    warned = plugin("b", signal=SIGNAL, message="failed once of late")
    old_controller = plugin("c", message="all data is through")
    del old_controller["signal"]
    a, b, c = cells(drawn(answer(bad, warned, old_controller), 200))

    assert a["LATEST"] == "exit code 1 again"
    assert b["LATEST"] == "SELL BTCUSDT 61783.45 2s"
    assert c["LATEST"] == "all data is through"


def test_one_that_was_never_heard_has_no_figures_of_messages():
    unheard = plugin("a", cpu_share=None, memory=0) | {"flow": None}
    (row,) = cells(drawn(answer(unheard), 200))

    assert row == {"NAME": "a", "KIND": "strategy", "STATE": "Running", "CPU%": "31M",
                   "MEMORY": "4", "PEAK": "0"}, "peak, pids and restarts alone"  # fmt: skip


@pytest.mark.parametrize(
    ("skew", "cell"),
    [(0.004, "4ms"), (-0.2, "0ms"), (1.25, "1.2s"), (130, "2m"), (7200, "2h"), (5e7, "rec")],
)
def test_the_age_of_the_newest_tick_is_a_lag_unless_it_is_of_a_recording(skew, cell):
    (row,) = cells(drawn(answer(plugin("a", skew_s=skew)), 200))
    assert row["LAG"] == cell


def test_the_order_is_by_what_was_asked_for_then_by_name():
    rows = [
        plugin("d", cpu_share=0.5, lost=7),
        plugin("b", cpu_share=None, memory=90 << 20, restarts=2),
        plugin("c", cpu_share=0.5, ready=False, skew_s=5e7),
        plugin("a", sent_per_s=90.0, received_per_s=1.0, skew_s=3.0),
    ]
    first = {sort: "".join(row["name"] for row in ordered(rows, sort)) for sort in SORTS}

    assert first == {
        "name": "abcd", "state": "cabd", "cpu": "cdab", "memory": "bacd", "in": "bcda",
        "out": "abcd", "lag": "abdc", "lost": "dabc", "restarts": "bacd",
    }  # fmt: skip


def test_rows_for_which_there_is_no_room_are_counted():
    many = answer(*(plugin(f"p{number:02}", cpu_share=number) for number in range(30)))
    lines = drawn(many, 80, height=12, sort="cpu")

    assert len(lines) <= 12
    assert [row["NAME"] for row in cells(lines)][:2] == ["p29", "p28"]
    shown = len(cells(lines))
    assert lines[-1] == f"{30 - shown} more below  sorted by cpu, q leaves"
    assert len(cells(drawn(many, 80, height=60))) == 30


def test_a_failure_of_the_project_and_a_lost_controller_stand_above():
    broken = {"type": "BusListening", "status": False, "reason": "Lost", "message": "beats\nx"}
    good = {"type": "LeaseHeld", "status": True, "reason": "Held", "message": ""}
    bare = plugin("a", isolation={"tier": 0})
    lines = drawn(answer(bare, conditions=[broken, good]), 80)
    lost = drawn(answer(bare), 80, notice="no controller answers\n  fix: ntpctl apply")

    assert lines[0] == "desk  revision 3  1/1 ready  12:00:02 UTC"
    assert lines[1] == "CPU 8%  memory 20M  in 2115/s  out 0.04/s"
    assert lines[2:5] == ["BusListening: Lost: beats x", "WITHOUT A SANDBOX: a", ""]
    assert lost[1] == "no controller answers fix: ntpctl apply"


def test_a_plugin_does_not_command_the_terminal():
    row = plugin("a", ready=False, message="\x1b[2J\x9bgone\x07")
    text = "\n".join(drawn(answer(row), 120))

    assert "\ufffd[2J\ufffdgone\ufffd" in text
