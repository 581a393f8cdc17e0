"""The lines of `plan` and `apply`."""

import pytest

from orchestrator.cli.output import warn_of_detours
from orchestrator.cli.preview import show


def change(name, do="keep", cause="", **fields):
    return {"name": name, "do": do, "cause": cause, "kind": "strategy", "stops": False,
            "egress": [], **fields}  # fmt: skip


def lines(capsys, *changes, whole=True):
    differs = any(each["do"] != "keep" for each in changes)
    show({"changes": list(changes), "differs": differs}, whole=whole)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("do", "sign"),
    [("start", "+"), ("recreate", "~"), ("update", "~"), ("push", "~"), ("remove", "-"),
     ("refuse", "!"), ("another", "?")],
)  # fmt: skip
def test_what_is_done_has_its_sign(capsys, do, sign):
    assert lines(capsys, change("a", do, "why")) == [f"{sign} {do:<9} a  why"]


def test_a_whole_plan_says_what_each_may_reach_also_of_one_that_stays(capsys):
    told = lines(
        capsys,
        change("a", "push", "why", egress=["a.example:443", "b.example:80"]),
        change("long", egress=["[::1]:443"]),
    )
    assert told == [
        "~ push      a     why",
        "  may reach a     a.example:443, b.example:80",
        "  may reach long  [::1]:443",
        "  1 not touched",
    ]


BY_HAND = "stopped by hand, not in plugins.yaml; `ntpctl start b` clears it"


@pytest.mark.parametrize("whole", [True, False])
def test_one_that_is_left_stopped_is_told_with_its_cause_and_counted_apart(capsys, whole):
    assert lines(capsys, change("a"), change("b", cause=BY_HAND), whole=whole) == [
        f"  keep      b  {BY_HAND}",
        "nothing to do: 1 run as declared, 1 left as it is",
    ]


def test_nobody_is_said_to_run_where_all_are_stopped(capsys):
    stopped = (change("b", cause=BY_HAND), change("c", cause="stopped by hand"))

    assert lines(capsys, *stopped)[-1] == "nothing to do: 2 left as they are"
    assert lines(capsys) == ["nothing to do: 0 run as declared"]


def test_each_change_has_its_sign_and_cause_and_who_is_not_touched_is_counted(capsys):
    told = lines(
        capsys,
        change("a", "recreate", "config.period 20 -> 30", egress=["a.example:443"]),
        change("b", egress=["b.example:443"]),
        change("longer", "refuse", "ImportFailed"),
        whole=False,
    )

    assert told == [
        "~ recreate  a       config.period 20 -> 30",
        "! refuse    longer  ImportFailed",
        "  may reach a       a.example:443",
        "  1 not touched",
    ]


LED = {"egress": ["a.example:443", "b.example:1"], "egress_mapped": {"a.example:443": "[::1]:2"}}


def test_a_host_that_leads_elsewhere_is_told_beside_it_and_loudly(capsys):
    told = lines(capsys, change("a", "start", "new", **LED))
    assert told[1] == "  may reach a  a.example:443 -> [::1]:2, b.example:1"
    warn_of_detours([change("a", **LED), change("b")])
    said = capsys.readouterr().err
    assert (
        "NOT THE REAL HOST, by NTP_EGRESS_MAP: a reaches [::1]:2 in place of a.example:443" in said
    )
    warn_of_detours([change("b")])
    assert capsys.readouterr().err == ""
