"""This Python: its real program, what compiled files fit it, and compiling files for good."""

import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

from ntp.package.fault import PackageError

COMPILE_S = 300.0


def interpreter() -> Path:
    """The real program behind this Python: not a virtual environment's link, which brings its site."""
    base: str = getattr(sys, "_base_executable", sys.executable)
    return Path(base).resolve()


def platform_tag() -> str:
    """What compiled files fit: implementation, version, machine."""
    abi = str(sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag)
    machine = platform.machine().lower()
    return abi if machine in abi else f"{abi}-{machine}"


def compile_folder(folder: Path, *, shown: str | None = None) -> None:
    """Write .pyc files that are never checked against their source: both are read-only.

    In a process of its own: it takes seconds of CPU, and the files may be anybody's. The same files
    become the same bytes, wherever the folder is.

    Args:
        folder: what is compiled, with all below it.
        shown: the folder that tracebacks name; default: paths are relative.

    Raises:
        PackageError: EnvironmentFailed, it took too long.
    """
    command = [str(interpreter()), "-I", "-S", "-m", "compileall", "-q", "-q", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(folder)]
    command += [] if shown is None else ["-p", shown]
    # A file that does not compile (a template, a test of syntax errors) is no failure: exit code 1.
    try:
        done = subprocess.run(
            [*command, str(folder)],
            check=False,
            timeout=COMPILE_S,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin"},
        )
    except subprocess.TimeoutExpired as error:
        raise PackageError(
            f"compiling took more than {COMPILE_S:.0f} s; the machine is overloaded, or a "
            "requirement has very many files",
            reason="EnvironmentFailed",
        ) from error
    if done.returncode not in (0, 1):
        raise PackageError(
            f"compiling ended with {done.returncode}: it was killed, or had no memory",
            reason="EnvironmentFailed",
        )
