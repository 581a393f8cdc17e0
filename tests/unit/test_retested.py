"""A seller's report beside one's own: what is the same, and what a buyer is told."""

import msgspec
import pytest

from ntp.contract.manifest import read as manifest_of
from ntp.contract.tested import read
from orchestrator.app import retested
from orchestrator.cli.plugin_retest import _cell

SAID, _ = manifest_of(
    {"name": "mine", "version": "1.0.0", "kind": "strategy", "entrypoint": "mine:Mine"},
    file="plugin.yaml",
)
NOTHING = "its author left the checks out"


def compared(manifest, theirs, ours, whole, config=None):
    return retested.compared(manifest, theirs, ours, whole, config=config or {})


def report(**changed):
    made = {
        "version": 1,
        "plugin": {"name": "mine", "version": "1.0.0", "kind": "strategy", "config": {}},
        "data": {"files": [{"name": "x.csv", "sha256": "aa"}], "ticks": 2, "symbols": {"BTC": 2},
                 "first": None, "last": None, "bad_rows": 0},
        "settings": {"bars": None, "history": 10, "capital": "1", "short": False, "pyramid": 1, "risk": {},
                     "costs": {}, "indicators": []},
        "strategies": [{"strategy": "mine", "figures": {
            "net": {"name": "Net", "unit": "money", "value": "10.00"},
            "sharpe": {"name": "Sharpe", "unit": "ratio", "value": 1.5},
            "at": {"name": "At", "unit": "time", "value": "2024-01-01T00:00:00Z"},
        }}],
        "checks": [{"name": "look-ahead", "passed": True, "status": "passed", "words": "none", "fix": ""}],
        "run": {"refused": "", "raised": None},
        "passed": True,
    }  # fmt: skip
    return read(msgspec.json.encode({**made, **changed}))


def figures(**values):
    return [{"strategy": "mine", "figures": {
        name: {"name": name, "unit": "ratio", "value": value} for name, value in values.items()}}]  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "yours", "same"),
    [
        ("10.00", "10", True),
        (1.0, 1.0 + 1e-12, True),
        (1.0, 1.0 + 1e-6, False),
        (None, None, True),
        (None, 0.0, False),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", True),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z", False),
        ("much", "much more", False),
        ("sNaN", 1.0, False),
    ],
)
def test_on_the_same_data_figures_have_to_be_the_same(theirs, yours, same):
    ours = report(strategies=figures(net=yours))
    found = compared(SAID, report(strategies=figures(net=theirs)), ours, {})
    assert found["same_data"]
    assert found["passed"] is same
    assert ("the same figures" in found["notes"][-1]) is same


@pytest.mark.parametrize(
    "other",
    [
        {"files": [{"name": "x.csv", "sha256": "bb"}]},
        {"ticks": 3},
        {"symbols": {"ETH": 2}},
        {"bad_rows": 1},
        {"files": []},
    ],
)
def test_on_other_data_they_need_not_be(other):
    data = {**msgspec.to_builtins(report().data), **other}
    ours = report(strategies=figures(net=2.0), data=data)
    found = compared(SAID, report(), ours, {})
    assert not found["same_data"]
    assert found["passed"]
    assert found["notes"] == []


def test_where_there_are_no_figures_none_are_called_the_same():
    found = compared(SAID, report(strategies=[]), report(strategies=[]), {})
    assert (found["same_data"], found["passed"], found["notes"]) == (True, True, [])


def test_without_files_nothing_is_the_same():
    data = {**msgspec.to_builtins(report().data), "files": []}
    assert not compared(SAID, report(data=data), report(data=data), {})["same_data"]


def test_figures_and_checks_that_one_side_lacks_are_shown_without_a_value():
    found = compared(SAID, report(checks=[]), report(strategies=figures(net=1.0)), {})
    rows = {each["figure"]: (each["theirs"], each["yours"]) for each in found["figures"]}
    assert rows == {"net": ("10.00", 1.0), "sharpe": (1.5, None), "at": ("2024-01-01T00:00:00Z", None)}  # fmt: skip
    (check,) = found["checks"]
    assert (check["name"], check["theirs"], check["yours"]) == ("look-ahead", None, "passed")


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ({"plugin": {"name": "mine", "version": "0.9.0", "kind": "strategy", "config": {}}}, "the report is of mine 0.9.0, and this is mine 1.0.0"),
        ({"passed": False}, "its author signed a report that did not pass"),
        ({"checks": []}, NOTHING),
        ({"grid": {"variants": 120}}, "its config is the best of 120 variants that were tried on its author's data"),
    ],
)  # fmt: skip
def test_what_a_buyer_has_to_know_of_the_report_is_told(theirs, words):
    assert words in compared(SAID, report(**theirs), report(), {})["notes"]
    assert words not in compared(SAID, report(), report(), {})["notes"]


@pytest.mark.parametrize(
    ("sold", "mine", "words"),
    [
        ({"period": 15}, {"period": 15}, ""),
        ({}, {"period": 20}, ""),
        ({"period": 20}, {}, ""),
        ({"period": 15}, {}, "period"),
        ({}, {"period": 15, "key": "${KEY}"}, "period, key"),
    ],
)
def test_a_config_of_the_entry_that_is_another_is_told_by_names_alone(sold, mine, words):
    schema = {
        "properties": {"period": {"type": "integer", "default": 20}, "any": True},
        "type": "object",
    }
    manifest = SAID.model_copy(update={"config_schema": schema})
    plugin = {"name": "mine", "version": "1.0.0", "kind": "strategy", "config": sold}
    data = {**msgspec.to_builtins(report().data), "ticks": 9}
    notes = compared(manifest, report(plugin=plugin), report(data=data), {}, mine)["notes"]
    told = [f"your entry has another config than the report was made with: {words}"]
    assert notes == (told if words else [])


def test_what_gave_no_answer_or_raised_does_not_pass():
    found = compared(SAID, report(), None, {})
    assert (found["passed"], found["report"], found["data"]["yours"]) == (False, None, None)
    ours = report(passed=False, run={"refused": "", "raised": "it raised KeyError"})
    found = compared(SAID, report(), ours, {"version": 1})
    assert not found["passed"]
    assert "on your data it raised KeyError" in found["notes"]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        ("1234.5", "money", "1,234.50"),
        ("1e999999999", "money", "1e999999999"),
        ("sNaN", "money", "sNaN"),
        ("x" * 500, "share", "x" * 40),
        ("9" * 500, "nothing", "9" * 40),
        (10**400, "ratio", "inf"),
        ("yesterday", "time", "yesterday"),
        (1e308, "seconds", None),
        (None, "money", "\N{EN DASH}"),
    ],
    ids=range(9),
)
def test_whatever_a_stranger_signed_as_a_figure_fits_into_a_cell(value, unit, shown):
    cell = _cell(value, unit)
    assert len(cell) <= 40
    assert shown is None or cell == shown


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 2}', b'{"signals": 12}', b"\xff", b"[" * 100_000])  # fmt: skip
def test_what_is_no_report_is_a_value_error(content):
    with pytest.raises(ValueError, match="is no report of `ntp plugin test`"):
        read(content)
