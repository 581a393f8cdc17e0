"""Plugins that misbehave: each is contained, and explained in words that a trader understands."""

import re

import pytest

pytestmark = [pytest.mark.usefixtures("limited"), pytest.mark.timeout(240)]

FILE = """
plugins:
  data_sources:
    - name: replay_data
      config: {{symbols: ["BTCUSDT"], speed: 0, loop: true}}
  strategies:
    - name: {name}
      resources: {{memory: {memory}, pids: 24}}
      timeout: {timeout}
    - name: bollinger_strategy
"""


def started(project, name, *, timeout="30s", memory="128MB"):
    project.declare(FILE.format(name=name, timeout=timeout, memory=memory))
    project.ntpctl("apply", "--no-wait")


def well(status):
    """The neighbours of the one that misbehaves are untouched."""
    return all(
        status[name]["ready"] and status[name]["restarts"] == 0
        for name in ("replay_data", "bollinger_strategy")
    )


def test_one_that_takes_too_much_memory_is_killed_alone(project):
    started(project, "allocates")
    seen = project.until(
        lambda status: (
            (status["allocates"]["last_exit"] or {}).get("reason") == "OOMKilled"
            and "limit 128 MiB" in status["allocates"]["message"]
            and well(status)
        )
    )["allocates"]

    assert "peak" in seen["message"]
    assert "resources.memory" in seen["message"]
    assert any("holding" in line for line in seen["last_exit"]["last_output"]), seen["last_exit"]


def test_one_that_never_comes_back_from_a_callback_is_stopped_with_the_place(project):
    started(project, "spins", timeout="2s")
    project.until(
        lambda status: (
            (status["spins"]["last_exit"] or {}).get("reason") == "CallbackTimeout"
            and re.search(r"it was at spins\.py:[89] in analyze", status["spins"]["message"])
            and well(status)
        )
    )


def test_one_that_forks_without_end_is_held_at_its_limit(project):
    # Each copy writes to some of the pages that they share: two dozen need more than one.
    started(project, "forks", memory="512MB")
    seen = project.until(
        lambda status: status["forks"]["usage"]["pids_refused"] > 0 and well(status)
    )["forks"]

    assert seen["usage"]["pids"] <= 24


def test_one_that_ignores_sigterm_is_gone_after_its_grace(project):
    started(project, "ignores_sigterm")
    project.until(lambda status: status["ignores_sigterm"]["ready"] and well(status))
    project.ntpctl("stop", "ignores_sigterm")
    seen = project.status()["ignores_sigterm"]

    assert seen["state"] == "Stopped"
    assert "by hand" in seen["message"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(
            "crashes_at_import",
            "its import raised KeyError: 'USD'\n  fix: correct it",
            marks=pytest.mark.long,
        ),
        (
            "undeclared_pandas",
            "it imports 'pandas', which is not installed\n  fix: add 'pandas' to",
        ),
    ],
)
def test_one_that_cannot_be_imported_fails_alone_with_place_and_fix(project, name, words):
    project.declare(FILE.format(name=name, timeout="30s", memory="128MB"))
    checked = project.ntpctl("validate", exit_code=2)
    planned = project.ntpctl("plan", exit_code=6)
    applied = project.ntpctl("apply", exit_code=5)
    status = project.status()

    assert well(status)
    assert status[name]["state"] == "ImportFailed"
    for told in (checked.stderr, planned.stderr, applied.stderr, status[name]["message"]):
        assert re.search(rf"plugins\.yaml:7:7: .*{name}\.py: line \d+: ", told)
        assert words in told
    assert f"! refuse    {name}" in planned.stdout


def test_a_broken_edit_of_a_file_leaves_what_runs_of_it_alone(project):
    good = (
        "from ntp import StrategyPlugin\n\n\nclass Mine(StrategyPlugin):\n"
        "    def analyze(self, data, history):\n        return None\n"
    )
    file = project.folder / "mine.py"
    file.write_text(good)
    text = FILE.format(name="mine", timeout="30s", memory="128MB").replace(
        "mine\n", "mine\n      source: mine.py\n"
    )
    project.declare(text)
    project.ntpctl("apply")
    before = project.status()["mine"]["started"]
    file.write_text(f"import pandas\n{good}")
    project.ntpctl("apply", exit_code=5)
    seen = project.status()["mine"]

    assert (seen["state"], seen["started"], seen["restarts"]) == ("Refused", before, 0)
    assert (
        "the one before keeps running: ImportFailed: plugins.yaml:7:7: mine.py" in seen["message"]
    )
    assert "fix: add 'pandas' to requirements" in seen["message"]

    file.write_text(f"{good}\n")
    project.ntpctl("apply")
    assert project.status()["mine"]["ready"]


def test_one_that_crashes_again_and_again_backs_off_with_its_last_words(project):
    started(project, "crashes_sometimes")
    seen = project.until(
        lambda status: (
            status["crashes_sometimes"]["restarts"] >= 2
            and status["crashes_sometimes"]["next_try"] is not None
            and well(status)
        )
    )["crashes_sometimes"]

    assert seen["message"].startswith("ZeroDivisionError: the spread was 0")
    assert "crashes_sometimes.py:9" in seen["message"]
    assert "ZeroDivisionError: the spread was 0" in seen["last_output"]


def test_leaving_with_exit_code_0_is_a_failure_with_its_own_name(project):
    started(project, "exits_zero")
    seen = project.until(lambda status: status["exits_zero"]["state"] == "ExitedZero")["exits_zero"]

    assert "exit" in seen["message"]


def test_what_no_executor_may_see_is_refused_at_the_border_and_counted(project):
    started(project, "bad_signals")
    seen = project.until(
        lambda status: (status["bad_signals"]["flow"] or {}).get("refused", 0) >= 3 and well(status)
    )["bad_signals"]

    assert seen["flow"]["sent"] == 0
    assert seen["flow"]["last_refusal"]
