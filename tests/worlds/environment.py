"""An environment of its own for what other people wrote: made once, kept, and exactly as listed."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

OFFLINE = ("NewConnectionError", "Temporary failure in name resolution", "ProxyError", "ConnectTimeout", "No matching distribution")  # fmt: skip


REQUIRE = "NTP_REQUIRE"
"""Setting: what has to be here, in words of PARTS with commas between them, or `all`."""
PARTS = frozenset({"docker", "kubernetes", "network", "programs"})


def is_required(part: str) -> bool:
    """Whether whoever runs the tests said that tests that need this may not be skipped."""
    words = {word.strip() for word in os.environ.get(REQUIRE, "").split(",")} - {""}
    if unknown := words - PARTS - {"all"}:
        pytest.fail(f"{REQUIRE} has {sorted(unknown)}: it takes {sorted(PARTS)}, or all")
    assert part in PARTS
    return part in words or "all" in words


def absent(part: str, reason: str) -> None:
    """Skip for want of `part`, unless it is required."""
    if is_required(part):
        pytest.fail(f"{REQUIRE} is {os.environ[REQUIRE]}, and {reason}")
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
            absent("network", "no package registry answers")
        assert done.returncode == 0, done.stderr
        mark.write_text(wanted)
    return python
