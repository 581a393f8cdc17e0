"""What Tab completes, in a real bash that has read the script, asking a controller's real socket."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.control.protocol import SOCKET
from orchestrator.control.server import serving
from tests.worlds.house import NAMES, House

BASH = shutil.which("bash")
TAB = """
eval "$(ntpctl completion bash)"
COMP_WORDS=(ntpctl "$@"); COMP_CWORD=$#
_ntpctl_completion ntpctl "${!#}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")


def tab(folder, *words):
    bin_ = Path(sys.executable).parent
    environment = {
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "NTP_STATE": str(folder),
        "HOME": str(folder),
    }
    done = subprocess.run(
        [BASH, "-c", TAB, "bash", *words],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_are_completed(tmp_path):
    assert tab(tmp_path, "st") == ["status", "stop", "start"]


def test_without_a_controller_nothing_is_said(tmp_path):
    assert tab(tmp_path, "restart", "") == []


async def test_names_of_plugins_are_completed(tmp_path):
    (tmp_path / "plugins.yaml").write_text("name: desk\n")
    state = tmp_path / "desk"
    state.mkdir(mode=0o700)
    house = House(state)
    async with house.controlled() as controller, serving(state / SOCKET, controller):
        await house.apply()
        for command in ("status", "logs", "tap", "restart", "stop", "start"):
            found = await asyncio.to_thread(tab, tmp_path, command, "")
            assert sorted(found) == sorted(NAMES), command
        first = "momentum"
        assert await asyncio.to_thread(tab, tmp_path, "stop", first[:-1]) == [first]
        assert first not in await asyncio.to_thread(tab, tmp_path, "stop", first, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(tmp_path, shell):
    ntpctl = Path(sys.executable).parent / "ntpctl"
    done = subprocess.run([ntpctl, "completion", shell], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_NTPCTL_COMPLETE={shell}_complete" in done.stdout
