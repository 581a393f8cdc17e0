"""The Runtime suite once more as an ordinary user, where the tests themselves are run by root."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

NOBODY = 65534
CLAIMS = (
    "drain",
    "grace_is_over",
    "everything_that",
    "exit_code",
    "adopts",
    "storage",
    "files_of_the_launch",
    "killing_the_shim",
    "cut_off_is_shown",
    "system_instance",
    "door",
    "is_told",
    "is_left_of",
)
PREPARE = """
import os, sys
from ntp.confine import kernel

prefix, uid, memory, *command = sys.argv[1:]
kernel.unshare(kernel.CLONE_NEWNS)
kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
if prefix.startswith("/root/"):
    # Root's home is closed; in this namespace it is a folder with nothing but the interpreter.
    fd = os.open(prefix, os.O_PATH)
    kernel.mount("trial", "/root", "tmpfs", 0, "mode=0755")
    os.makedirs(prefix)
    kernel.mount(f"/proc/self/fd/{fd}", prefix, None, kernel.MS_BIND)
os.setgroups([])
os.setresgid(int(uid), int(uid), int(uid))
os.setresuid(int(uid), int(uid), int(uid))
environment = {"PATH": os.defpath, "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
os.execve(command[0], command, environment | {"XDG_RUNTIME_DIR": memory})
"""


@pytest.mark.root
@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="the suite itself is run by an ordinary user here")
def test_an_ordinary_user_gets_the_same():
    python = str(Path(sys.executable).resolve().parents[1])
    with (
        tempfile.TemporaryDirectory() as name,  # pytest's own folders are closed to others
        tempfile.TemporaryDirectory(dir="/dev/shm") as memory,
    ):
        os.chown(name, NOBODY, NOBODY)
        os.chown(memory, NOBODY, NOBODY)
        claims = " or ".join(CLAIMS)
        done = subprocess.run(
            [
                *(sys.executable, "-c", PREPARE, python, str(NOBODY), memory),
                *(sys.executable, "-m", "pytest", str(Path(__file__).parent), "-q", "-rs"),
                *("-k", f"runtime and ({claims})", "-p", "no:cacheprovider"),
                *("--basetemp", f"{name}/t", "--timeout", "60"),
            ],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            timeout=280,
        )
        left = list(Path(memory).iterdir())
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert left == []
    counted = done.stdout.splitlines()[-1]
    assert int(counted.split()[0]) >= len(CLAIMS), counted
