"""A rootless Docker Engine: told and refused before anything is begun, and never chosen by itself."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from orchestrator.app import house, unfit
from orchestrator.settings import find
from tests.worlds.recorded_engine import SOMEBODY, recorded
from tests.worlds.users import plain

RECORDING = "rootless-26.1-cgroup-v1"
FILE = "name: desk\nplugins:\n  strategies:\n    - name: momentum_strategy\n"
SAID = "is rootless: its containers have neither this machine's loopback"


@pytest.fixture
def engine(tmp_path):
    with recorded(RECORDING, tmp_path, owner=SOMEBODY) as url:
        yield url


@pytest.fixture
def ntpctl(engine, tmp_path):
    (tmp_path / "plugins.yaml").write_text(FILE)

    def run(*words, code, **environment):
        given = {
            **plain(),
            "DOCKER_HOST": engine,
            "NTP_STATE": str(tmp_path / "state"),
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words], cwd=tmp_path, env=given,
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.mark.parametrize("command", ["apply", "serve"])
def test_what_would_start_plugins_there_is_refused_with_a_fix(ntpctl, tmp_path, command):
    refused = ntpctl(command, code=2, NTP_RUNTIME="docker")
    assert SAID in refused.stderr
    assert f"  fix: {unfit.FIX}\n" in refused.stderr
    assert not (tmp_path / "state").exists()


def test_doctor_says_what_is_missing_there(ntpctl):
    found = json.loads(ntpctl("doctor", "-o", "json", code=0, NTP_RUNTIME="docker").stdout)
    missing = " ".join(found["isolation"]["missing"])
    for limit in ("memory limits", "swap limits", "CPU limits", "limits on processes"):
        assert f"{limit}: a rootless engine has them with control groups of version 2" in missing
    assert "a rootless engine runs no plugins" in missing
    assert not any("user id" in each for each in found["isolation"]["active"])
    assert any(SAID in each and unfit.FIX in each for each in found["notes"])


def test_it_is_never_chosen_by_itself(engine, ntpctl, tmp_path):
    found = json.loads(ntpctl("doctor", "-o", "json", code=0, NTP_BASE="somewhere").stdout)
    (note,) = [each for each in found["notes"] if SAID in each]
    assert note.endswith("so plugins run as processes")
    (tmp_path / "plugins.yaml").write_text(FILE)
    settings = dataclasses.replace(
        find([str(tmp_path / "plugins.yaml")]),
        runtime="", state=tmp_path / "state", environment={"DOCKER_HOST": engine, "NTP_BASE": "x"},
    )  # fmt: skip
    assert house.runtime_name(settings) == "process"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a socket of root's is made by root")
def test_an_engine_of_root_s_is_known_by_its_socket(tmp_path):
    with recorded(RECORDING, tmp_path, owner=0) as url:
        settings = dataclasses.replace(
            find([str(tmp_path)], tolerated=[]),
            runtime="docker", state=tmp_path / "state", environment={"DOCKER_HOST": url},
        )  # fmt: skip
        assert unfit.refusal(settings) is None
