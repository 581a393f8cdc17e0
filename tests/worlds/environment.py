"""An environment of its own for what other people wrote: made once, kept, and exactly as listed."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

OFFLINE = ("NewConnectionError", "Temporary failure in name resolution", "ProxyError", "ConnectTimeout", "No matching distribution")  # fmt: skip


def absent(reason: str) -> None:
    """Skip, unless whoever runs the tests said that nothing may be."""
    if "NTP_REQUIRE" in os.environ:
        pytest.fail(f"NTP_REQUIRE is set and {reason}")
    pytest.skip(reason)


def python_with(cache: Path, listed: Path) -> Path:
    """The interpreter of an environment in `cache` with what a file of requirements lists, no more."""
    wanted = listed.read_text()
    tag = f"{listed.stem}-{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / tag
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    with (cache / f"{tag}.lock").open("w") as lock:
        # Another run of the tests may be at it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text() == wanted:
            return python
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--retries", "1", "--timeout", "30", "--no-deps", "-r", listed]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode and any(words in done.stderr for words in OFFLINE):
            absent("no package registry answers")
        assert done.returncode == 0, done.stderr
        mark.write_text(wanted)
    return python
