"""What an edit touches, and what it does not; what survives a controller; what `down` leaves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ntp.confine import tree

pytestmark = [pytest.mark.usefixtures("limited"), pytest.mark.timeout(240)]

FILE = """
name: edited
plugins:
  data_sources:
    - name: replay_data
      config: {{symbols: ["BTCUSDT"], speed: 100}}
  strategies:
    - name: bollinger_strategy
      config: {{period: {period}}}
      resources: {{memory: {memory}}}
    - name: momentum_strategy
  executors:
    - name: paper_executor
"""
OTHERS = ("replay_data", "momentum_strategy", "paper_executor", "broker")


def declared(*, period=20, memory="256MB"):
    return FILE.format(period=period, memory=memory)


def lives(project) -> dict[str, tuple[int, int]]:
    """Instance -> (pid, start time) as the kernel knows them."""
    found = {}
    for file in (project.folder / "state" / "edited" / "run").glob("*/state.json"):
        state = json.loads(file.read_text())
        stat = Path(f"/proc/{state['pid']}/stat")
        if stat.exists():
            start = int(stat.read_text().rpartition(")")[2].split()[19])
            found[file.parent.name] = (state["pid"], start)
    return found


def groups_of(pid: int) -> set[str]:
    """Names of the control groups of a plugin's process: of this project alone, others are named alike."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {part for line in lines for part in line.split(":", 2)[2].split("/") if "edited" in part}


def beats(project) -> dict[str, dict]:
    from orchestrator.control import client

    found = client.ask(project.folder / "state" / "edited" / "controller.sock", "beats")["beats"]
    return {name: heard["beat"] for name, heard in found.items()}


def incarnations(project) -> dict[str, str]:
    return {name: beat["incarnation"] for name, beat in beats(project).items()}


def received(project, name) -> dict[str, tuple[int, int]]:
    """Symbol -> (ticks, lost) that `name` heard of its source."""
    flows = beats(project)[name]["received"]
    return {
        each["symbol"]: (each["count"], each["lost"])
        for each in flows
        if each["peer"] == "replay_data"
    }


def sent(project, name) -> dict[str, int]:
    return {each["symbol"]: each["count"] for each in beats(project)[name]["sent"]}


def controller(project) -> int:
    return int((project.folder / "state" / "edited" / "controller.lock").read_text())


def test_an_edit_changes_what_it_touches_and_nothing_else(project):
    project.declare(declared())
    project.ntpctl("apply")
    before, spoke = lives(project), incarnations(project)

    project.declare(declared(period=30))
    plan = project.ntpctl("plan", exit_code=6).stdout
    assert "bollinger_strategy" in plan
    assert "period" in plan
    assert "20" in plan
    assert "30" in plan
    assert "momentum_strategy" not in plan
    project.ntpctl("apply")

    after, speak = lives(project), incarnations(project)
    assert after["bollinger_strategy"] != before["bollinger_strategy"]
    assert {name: after[name] for name in OTHERS} == {name: before[name] for name in OTHERS}
    untouched = [name for name in OTHERS if name != "broker"]
    assert [speak[name] for name in untouched] == [spoke[name] for name in untouched]
    assert project.ntpctl("plan").stdout.startswith("nothing to do")


@pytest.mark.parametrize(
    ("module", "more"), [("cli", ()), ("entry", ("click", "dataclasses", "pathlib"))]
)
def test_an_apply_with_nothing_to_do_leaves_the_work_to_the_controller(project, module, more):
    project.declare(declared())
    project.ntpctl("apply")
    before = incarnations(project)
    script = (
        f"import sys\nfrom orchestrator.{module} import main\n"
        "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "apply", "--yes"],
        cwd=project.folder, env=project.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nothing to do: 4 run as declared" in done.stdout
    heavy = {"orchestrator.app.house", "orchestrator.controller.loop", "pydantic", "nats", "yaml"}
    assert not {*heavy, *more} & set(done.stderr.split()), "a second of imports"
    assert incarnations(project) == before


def test_a_limit_is_raised_without_a_restart(project):
    project.declare(declared())
    project.ntpctl("apply")
    before = lives(project)

    project.declare(declared(memory="300MB"))
    project.ntpctl("apply")
    seen = project.until(
        lambda status: status["bollinger_strategy"]["usage"]["memory_limit"] == 300 << 20
    )

    assert seen["bollinger_strategy"]["ready"]
    assert lives(project) == before


def test_a_symbol_is_added_to_a_source_that_goes_on(project):
    text = declared().replace("speed: 100", "speed: 20, loop: true")
    project.declare(text)
    project.ntpctl("apply")
    before, spoke = lives(project), incarnations(project)

    project.declare(text.replace('["BTCUSDT"]', '["BTCUSDT", "ETHUSDT"]'))
    plan = project.ntpctl("plan", exit_code=6).stdout
    assert plan.split()[:3] == ["~", "push", "replay_data"]
    assert 'config.symbols ["BTCUSDT"] -> ["BTCUSDT", "ETHUSDT"]' in " ".join(plan.split())
    project.ntpctl("apply")

    assert lives(project) == before
    assert incarnations(project) == spoke
    project.until(lambda _: received(project, "momentum_strategy").get("ETHUSDT", (0,))[0] > 10)
    assert received(project, "momentum_strategy")["ETHUSDT"][1] == 0
    told = json.loads(project.ntpctl("events", "replay_data", "-o", "json").stdout)
    (pushed,) = [each for each in told["events"] if each["reason"] == "Pushed"]
    assert pushed["message"] == 'config.symbols ["BTCUSDT"] -> ["BTCUSDT", "ETHUSDT"]'

    os.kill(controller(project), signal.SIGKILL)
    run = project.ntpctl("apply")
    assert "nothing to do" in run.stdout
    assert (lives(project), incarnations(project)) == (before, spoke)
    project.ntpctl("restart", "replay_data")
    project.until(lambda _: sent(project, "replay_data").get("ETHUSDT", 0) > 0)
    assert incarnations(project)["replay_data"] != spoke["replay_data"]


def test_a_broken_edit_stops_nothing_and_names_its_place(project):
    project.declare(declared())
    project.ntpctl("apply")
    before = lives(project)

    project.declare(declared().replace("period: 20", "period: twenty"))
    run = project.ntpctl("apply", exit_code=2)

    assert "plugins.yaml:9:16" in run.stderr
    assert "fix:" in run.stderr
    assert "nothing was changed" in run.stderr
    assert lives(project) == before
    assert all(plugin["ready"] for plugin in project.status().values())


def test_a_file_that_removes_most_of_what_runs_is_refused(project):
    project.declare(declared())
    project.ntpctl("apply")
    before = lives(project)

    project.declare("name: edited\nplugins:\n  data_sources:\n    - name: replay_data\n")
    run = project.ntpctl("apply", exit_code=5)

    assert "--allow-deletes" in run.stderr
    assert lives(project) == before


def test_a_killed_controller_costs_no_plugin_its_life(project):
    project.declare(declared())
    project.ntpctl("apply")
    before, spoke = lives(project), incarnations(project)

    os.kill(controller(project), signal.SIGKILL)
    project.ntpctl("status", exit_code=3)
    run = project.ntpctl("apply")

    assert "nothing to do" in run.stdout
    assert lives(project) == before
    assert incarnations(project) == spoke
    assert all(plugin["restarts"] == 0 for plugin in project.status().values())


def test_stopped_by_hand_stays_stopped_until_start(project):
    project.declare(declared())
    project.ntpctl("apply")
    project.ntpctl("stop", "momentum_strategy")
    os.kill(controller(project), signal.SIGKILL)
    project.ntpctl("apply", "--no-wait")

    seen = project.status()["momentum_strategy"]
    assert seen["state"] == "Stopped"
    assert "by hand, not in plugins.yaml" in seen["message"]
    project.ntpctl("start", "momentum_strategy")
    assert project.status()["momentum_strategy"]["ready"]


def test_an_apply_replaces_what_runs_and_has_lost_its_records(project):
    project.declare(declared())
    project.ntpctl("apply")
    before = {pid for pid, _ in lives(project).values()}
    project.lose_state()
    project.declare(declared().partition("  executors:")[0])
    said = project.ntpctl("apply").stderr
    assert "whose records are gone, these processes are left" in said
    events = project.ntpctl("events").stdout
    assert "it is of an earlier life of this project" in events
    assert "not in revision 1 of plugins.yaml" in events
    assert len(before) == 5
    assert not any(tree.alive(pid) for pid in before)
    assert len(lives(project)) == 4


def test_down_leaves_storage_and_nothing_else(project):
    project.declare(declared())
    project.ntpctl("apply")
    pids = {pid for pid, _ in lives(project).values()}
    own = {group for pid in pids for group in groups_of(pid)}
    project.ntpctl("down")

    state = project.folder / "state" / "edited"
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert str(state) not in Path("/proc/self/mounts").read_text()
    # os.walk, unlike glob, does not mind groups of others that go meanwhile.
    groups = [name for _, names, _ in os.walk("/sys/fs/cgroup") for name in names]
    assert own, "each has one"
    assert own.isdisjoint(groups)
    assert [path.name for path in (state / "storage").iterdir()] == ["paper_executor"]
    assert {path.name for path in state.iterdir()} == {"storage", "made-its-parent"}

    project.ntpctl("down", "--delete-data", "--yes")
    assert not state.parent.exists()
