"""What `dev` prints of each event, to people and to programs."""

import json

import pytest

from orchestrator.cli.dev_lines import Lines, words

SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "price": 61837.63, "confidence": 0.6,
          "size": 0.0032, "time": "2026-03-02T12:00:00Z", "at": "2026-03-02T12:00:00Z"}  # fmt: skip
REPLAYED = {"ticks": 500, "signals": 1, "seconds": 0.019, "last": SIGNAL, "problem": ""}
PROBLEM = {"file": "mine.py", "line": 3, "column": 7, "message": "it is not Python", "fix": "correct the line"}  # fmt: skip
AT = "2026-03-02T12:00:00+00:00"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            {"event": "watching", "names": ["mine"], "project": "desk", "started": True},
            "watching mine in project desk, which is started now and taken down at the end; Ctrl-C ends it",
        ),
        (
            {"event": "watching", "names": [], "project": "desk", "started": False},
            "watching no plugin in project desk, which runs; Ctrl-C ends it",
        ),
        ({"event": "saved", "files": ["a.py", "b.py"]}, "saved a.py, b.py"),
        ({"event": "unchanged"}, "the same as what runs"),
        (
            {"event": "applied", "changes": [{"name": "mine", "do": "recreate", "cause": "code"}]},
            "mine: recreate, code",
        ),
        (
            {"event": "ready", "name": "mine", "seconds": 0.93, "replayed": REPLAYED,
             "indicators": {"BTCUSDT": {"upper": 61840.123, "lower": 5e-324}}},
            ("mine ready 0.93 s after the save\n"
            "replayed 500 ticks in 19 ms, 1 signal made of them and not sent;"
            " the last: BUY BTCUSDT, price 61837.63, size 0.0032, confidence 0.6\n"
            "BTCUSDT: upper 61840.1, lower 4.94066e-324"),
        ),
        (
            {"event": "ready", "name": "mine", "seconds": None, "replayed": None, "indicators": {}},
            "mine ready",
        ),
        (
            {"event": "broken", "problems": [PROBLEM]},
            "mine.py:3:7: it is not Python\n  fix: correct the line\nnot applied; what ran runs on",
        ),
        (
            {"event": "failed", "name": "mine", "state": "ImportFailed", "message": "why"},
            "mine ImportFailed: why",
        ),
        ({"event": "returned", "revision": 3}, "what ran before runs again"),
        ({"event": "refused", "message": "why"}, "refused: why"),
        ({"event": "state", "name": "mine", "state": "Running", "message": ""}, "mine Running"),
        (
            {"event": "signal", "name": "mine", "signal": SIGNAL},
            "mine signals BUY BTCUSDT, price 61837.63, size 0.0032, confidence 0.6",
        ),
        (
            {"event": "output", "name": "mine", "stream": "stdout", "text": "[red]hello"},
            "mine | [red]hello",
        ),
        (
            {"event": "output", "name": "mine", "stream": "stderr", "text": "oh"},
            "mine | [stderr] oh",
        ),
        ({"event": "note", "message": "the broker is away"}, "the broker is away"),
    ],
)  # fmt: skip
def test_each_event_has_words(event, told):
    assert words(event) == told


def test_without_a_terminal_lines_are_plain_and_indicators_do_not_flood(capsys):
    shown = {"event": "indicators", "at": AT, "name": "mine", "indicators": {"X": {"a": 1.0}}}
    with Lines("table") as lines:
        for _ in range(3):
            lines.tell(shown)
        lines.tell({**shown, "name": "other"})
        lines.tell({"event": "broken", "at": AT, "problems": [PROBLEM]})
    told = [line[9:] for line in capsys.readouterr().out.splitlines()]
    assert told == [
        "mine X: a 1",
        "other X: a 1",
        "mine.py:3:7: it is not Python",
        "  fix: correct the line",
        "not applied; what ran runs on",
    ]


def test_for_programs_each_event_is_a_line_as_it_is(capsys):
    events = [
        {"event": "unchanged", "at": AT},
        {"event": "indicators", "at": AT, "name": "mine", "indicators": {"X": {"a": 1.0}}},
    ]
    with Lines("json") as lines:
        for event in events * 2:
            lines.tell(event)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == events * 2
