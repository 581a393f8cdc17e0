"""Authors work on macOS and Windows too: there the sandbox is absent, but nothing of it breaks."""

import subprocess
import sys

BARE = """
import ctypes, os, sys
sys.platform = {platform!r}
sys.modules["resource"] = None
for name in ("sysconf", "memfd_create", "pipe2", "O_PATH", "posix_spawn"):
    if hasattr(os, name):
        delattr(os, name)
def no_library(*arguments, **options):
    raise OSError("no such library")
ctypes.CDLL = no_library
from ntp.confine import bubblewrap, cgroup, kernel, policy, sandbox, seccomp, verify
from ntp.confine.probe import probe
found = probe()
print(found.tier, sandbox.best_tier(), found.missing)
"""


def run(platform):
    done = subprocess.run(
        [sys.executable, "-I", "-c", BARE.format(platform=platform)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_on_macos_it_says_what_to_use_instead():
    assert run("darwin") == "0 0 ('no sandbox on darwin: use Docker Desktop or WSL2',)\n"


def test_on_windows_it_says_what_to_use_instead():
    assert run("win32") == "0 0 ('no sandbox on win32: use Docker Desktop or WSL2',)\n"
