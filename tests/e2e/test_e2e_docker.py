"""Plugins as containers, as a user has them: what an edit, a hand and a crash do to them, and what stays."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.runtime.uids import owner_of
from tests.e2e.conftest import HOSTILE, Project
from tests.worlds.engine import REPOSITORY

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(300),
]
FILE = """
name: boxed
plugins:
  data_sources:
    - name: replay_data
      config: {{symbols: ["BTCUSDT"], speed: 20, loop: true}}
  strategies:
    - name: bollinger_strategy
      resources: {{memory: {memory}}}
    - name: momentum_strategy
  executors:
    - name: paper_executor
"""
ALL = {"replay_data", "bollinger_strategy", "momentum_strategy", "paper_executor"}


class Boxed(Project):
    """A project whose plugins run in the engine of the tests."""

    def __init__(self, folder, cache, engine):
        super().__init__(folder, cache, HOSTILE)
        self.engine = engine
        engine.environment()
        self.environment |= {
            "DOCKER_HOST": engine.url,
            "NTP_RUNTIME": "docker",
            "NTP_BASE": str(REPOSITORY / "dist" / "base"),
        }

    def containers(self):
        """Role or instance -> id."""
        marks = '{{.Label "io.ntp.instance"}} {{.Label "io.ntp.role"}} {{.ID}}'
        said = self.engine.run(
            "ps", "--no-trunc", "--filter", "label=io.ntp.project=boxed", "--format", marks
        )
        rows = [line.split() for line in said.splitlines()]
        return {row[0]: row[-1] for row in rows}

    def running(self, but=()):
        return {name: each for name, each in self.containers().items() if name not in but}

    def kill_controller(self):
        info = json.loads(self.ntpctl("doctor", "-o", "json").stdout)
        os.kill(int(info["controller"].split()[1].rstrip(",")), signal.SIGKILL)

    def causes(self, name):
        return self.ntpctl("events", name).stdout


@pytest.fixture(scope="module")
def boxed(tmp_path_factory, cache, engine):
    made = Boxed(tmp_path_factory.mktemp("boxed"), cache, engine)
    made.declare(FILE.format(memory="256MB"))
    try:
        made.ntpctl("apply")
        yield made
    finally:
        made.ntpctl("down", "--delete-data", "--yes", exit_code=None)


@pytest.fixture
def ready(boxed):
    boxed.until(lambda status: all(each["ready"] for each in status.values()))
    return boxed


def test_an_edit_of_memory_changes_the_container_that_runs(ready):
    before = ready.containers()
    ready.declare(FILE.format(memory="384MB"))
    said = ready.ntpctl("plan", exit_code=6).stdout
    assert "update" in said
    ready.ntpctl("apply")
    assert ready.containers() == before
    limit = ready.engine.inspect(before["bollinger_strategy"])["HostConfig"]["Memory"]
    assert limit == 384 << 20
    ready.until(lambda status: status["bollinger_strategy"]["usage"]["memory_limit"] == 384 << 20)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (["kill"], "Killed: killed by SIGKILL"),
        # Between its end and its removal a look may come.
        (["rm", "--force"], "nothing of that name runs|Killed: killed by SIGKILL"),
        pytest.param(["stop", "--time", "1"], "Exited", marks=pytest.mark.long),
    ],
)
def test_what_a_hand_ended_runs_again_and_events_say_why(ready, how, words):
    before = ready.containers()
    ready.engine.run(*how, before["momentum_strategy"])
    ready.until(
        lambda _: (
            ready.containers().get("momentum_strategy", "") not in ("", before["momentum_strategy"])
        )
    )
    after = ready.containers()
    others = {name: each for name, each in before.items() if name != "momentum_strategy"}
    assert {**after, **others} == after
    assert re.search(words, ready.causes("momentum_strategy"))
    ready.until(lambda status: status["momentum_strategy"]["ready"])
    assert ready.containers() == after, "it reached its broker in its first life"


def test_a_limit_that_a_hand_changed_is_set_again_in_place(ready):
    before = ready.containers()
    name = before["momentum_strategy"]
    ready.engine.run("update", "--memory", "64m", "--memory-swap", "64m", name)
    ready.until(lambda _: ready.engine.inspect(name)["HostConfig"]["Memory"] == 512 << 20)
    assert ready.containers() == before
    assert "somebody else changed its limits: Memory 67108864" in ready.causes("momentum_strategy")


@pytest.mark.long
def test_a_copy_is_left_alone_and_a_renamed_one_stays_ours(ready):
    before = ready.containers()
    labels = ready.engine.inspect(before["paper_executor"])["Config"]["Labels"]
    marks = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    image = ready.engine.environment().image.reference
    copy = ready.engine.run(
        "run", "--detach", "--network", "none", "--entrypoint", "/usr/bin/python3", *marks, image,
        "-c", "import signal; signal.pause()",
    ).strip()  # fmt: skip
    try:
        ready.engine.run("rename", before["momentum_strategy"], "somebody-s-own")
        ready.ntpctl("restart", "paper_executor")
        ready.until(lambda status: status["paper_executor"]["ready"])
        assert ready.engine.inspect(copy)["State"]["Running"]
        assert ready.containers()["momentum_strategy"] == before["momentum_strategy"]
    finally:
        ready.engine.run("rm", "--force", copy)


@pytest.mark.long
def test_a_paused_plugin_is_unresponsive_and_started_anew(ready):
    before = ready.containers()
    ready.engine.run("pause", before["momentum_strategy"])
    ready.until(
        lambda _: (
            ready.containers().get("momentum_strategy", "") not in ("", before["momentum_strategy"])
        ),
        within=120,
    )
    assert "Unresponsive" in ready.causes("momentum_strategy")


def test_the_death_of_controller_and_broker_disturbs_no_plugin(ready):
    before = ready.containers()
    ready.kill_controller()
    ready.engine.run("kill", before["broker"])
    ready.ntpctl("apply")
    ready.until(
        lambda status: (
            all(each["ready"] for each in status.values())
            and ready.containers()["broker"] != before["broker"]
        )
    )
    assert ready.running(but={"broker"}) == {k: v for k, v in before.items() if k != "broker"}


def memory(project):
    """Where the files of launches lie: in memory, and in the mounts of the containers."""
    mounts = project.engine.inspect(project.containers()["paper_executor"])["Mounts"]
    [launch] = [each["Source"] for each in mounts if each["Destination"] == "/run/ntp"]
    return Path(launch).parent.parent


def test_secrets_and_credentials_are_in_no_inspect_and_no_log(ready):
    folder = next(memory(ready).glob("*/launch/bus.creds"))
    secret = folder.read_text().split("-----BEGIN USER NKEY SEED-----")[1].split()[0]
    for name, container in ready.containers().items():
        assert secret not in json.dumps(ready.engine.inspect(container)), name
        assert secret not in ready.engine.run("logs", container), name


def test_down_leaves_nothing(boxed):
    boxed.ntpctl("down", "--delete-data", "--yes")
    left = boxed.engine.run("ps", "--all", "--quiet", "--filter", "label=io.ntp.project=boxed")
    assert left == ""
    assert not (boxed.folder / "state").exists()
    boxed.ntpctl("apply")


def test_an_apply_replaces_containers_that_have_lost_their_records(boxed):
    # Another controller started them than the first one: a count that began again would be behind.
    boxed.kill_controller()
    boxed.ntpctl("apply")
    boxed.ntpctl("restart", "momentum_strategy")
    boxed.ntpctl("restart", "broker")
    before = boxed.containers()
    boxed.lose_state()
    declared, text = FILE.format(memory="256MB"), "  executors:"
    boxed.declare(declared.partition(text)[0])
    try:
        said = boxed.ntpctl("apply").stderr
        assert f"whose records are gone, these containers are left: {len(before)};" in said
        assert "it is of an earlier life of this project" in boxed.causes("broker")
        assert "not in revision 1" in boxed.causes("paper_executor")
        now = boxed.containers()
        kept = {name for name in now if now[name] == before[name]}
        assert kept == {"network", "door"}
        assert now.keys() == before.keys() - {"paper_executor"}
    finally:
        boxed.declare(declared)
        boxed.ntpctl("apply")


def test_containers_whose_records_are_gone_are_told(tmp_path, cache, engine):
    project = Boxed(tmp_path, cache, engine)
    project.declare(
        "name: gone\n" + FILE.format(memory="256MB").partition("\n")[2].partition("\n")[2]
    )
    owner = owner_of("gone", tmp_path / "state" / "gone")
    image = engine.environment().image.reference
    name = f"ntp-{owner}-momentum-strategy"
    engine.run("create", "--name", name, "--label", f"io.ntp.owner={owner}", image, "true")
    try:
        (note,) = json.loads(project.ntpctl("doctor", "-o", "json").stdout)["notes"]
        assert f"left of project 'gone', whose records are gone: container {name} (created)" in note
        assert f"docker ps --all --quiet --filter label=io.ntp.owner={owner}" in note
        assert note in project.ntpctl("down").stderr
    finally:
        engine.run("rm", "--force", name)
    assert json.loads(project.ntpctl("doctor", "-o", "json").stdout)["notes"] == []


def test_the_main_job_runs_in_containers(tmp_path, cache, engine):
    environment = Boxed(tmp_path, cache, engine).environment | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "demo", "--runtime", "docker", "-o", "json"],
        env=environment, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL,

    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failures"] == []
    assert engine.run("ps", "--all", "--quiet", "--filter", "label=io.ntp.project=demo") == ""
