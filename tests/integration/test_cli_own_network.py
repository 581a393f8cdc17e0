"""A network of its own that cannot be fenced in here: told with a fix before anything is begun."""

import subprocess
import sys

import pytest

from orchestrator.runtime.docker import fence
from tests.worlds.users import plain

FILE = """
name: desk
plugins:
  data_sources:
    - name: replay_data
      network: {mode: own, egress: ["stream.example.com:443"]}
"""
HERE = "unix:///var/run/docker.sock"
TAKE_OUT = "or take `mode: own` out and let the door hand out its connections"


@pytest.mark.root
@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
def test_an_engine_of_another_machine_is_refused_and_nothing_is_touched(tmp_path, command):
    (tmp_path / "plugins.yaml").write_text(FILE)
    given = {
        **plain(),
        "NTP_RUNTIME": "docker",
        "DOCKER_HOST": "tcp://192.0.2.1:2375",  # nobody is asked: nobody answers there
        "NTP_STATE": str(tmp_path / "state"),
        "NTP_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", command], cwd=tmp_path, env=given,
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert (
        "plugins.yaml:6:17: mode was own, which can be fenced in on the engine's own machine alone: "
        "DOCKER_HOST was tcp://192.0.2.1:2375\n"
        f"  fix: run the controller there, with the engine's socket as DOCKER_HOST, {TAKE_OUT}\n"
    ) in done.stderr
    assert not (tmp_path / "state").exists()


def test_who_is_not_root_is_told_so():
    found = fence.obstacle(HERE, uid=1000)
    assert found.message == "only root can fence in: we are user 1000"
    assert found.fix == f"run the controller as root, {TAKE_OUT}"


def test_what_is_not_installed_is_told_with_its_package(tmp_path):
    (tmp_path / "nsenter").touch(mode=0o755)
    found = fence.obstacle(HERE, uid=0, path=str(tmp_path))
    tools = "iptables-restore, iptables-save, ip6tables-restore"
    assert found.message == f"cannot be fenced in without {tools}: not installed"
    assert found.fix == f"apt-get install iptables, {TAKE_OUT}"
    for tool in fence.TOOLS:
        (tmp_path / tool).touch(mode=0o755)
    assert fence.obstacle(HERE, uid=0, path=str(tmp_path)) is None
