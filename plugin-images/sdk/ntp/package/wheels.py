"""pip, as a program: which wheels would satisfy requirements, and putting exactly those in a folder.

Only wheels: a source distribution runs its author's code on this machine while it is built.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ntp.package.fault import NoAnswerError, PackageError
from ntp.package.interpreter import interpreter
from ntp.package.lock import LockError, Pin

REASON = "RequirementsFailed"
_KEPT = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TMPDIR|XDG_\w+|SYSTEMROOT|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE"
    r"|PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|CERT|CLIENT_CERT|PROXY|TRUSTED_HOST"
    r"|CONFIG_FILE|CACHE_DIR|KEYRING_PROVIDER)"
    r"|(HTTPS?|ALL|NO)_PROXY",
    re.IGNORECASE,
)
"""What pip may see of our environment: where to fetch from, and nothing else of ours."""
_CONFLICT = ("ResolutionImpossible", "conflicting dependencies")
_UNREACHABLE = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "Connection refused",
    "ProxyError",
    "SSLError",
)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pip:
    """`environ`: the environment to take registry settings from. `timeout_s`: for one run."""

    environ: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600.0

    def resolve(
        self,
        requirements: Iterable[str],
        *,
        keep: Mapping[str, str],
        prefer: Mapping[str, str],
        progress: Progress,
    ) -> tuple[Pin, ...]:
        """Ask the registry which wheels, with everything they need, satisfy the requirements.

        Args:
            requirements: PEP 508.
            keep: versions that no answer may change, by name.
            prefer: versions to take where the requirements allow it.
            progress: called with one line at a time.

        Raises:
            PackageError: RequirementsFailed, with what pip said last.
        """
        with tempfile.TemporaryDirectory(prefix="ntp-pip-") as folder:
            try:
                return self._resolve(folder, requirements, {**prefer, **keep}, progress)
            except _ConflictError:
                # What we would like is in the way: let go of it, not of what has to stay.
                return self._resolve(folder, requirements, keep, progress)

    def _resolve(
        self,
        folder: str,
        requirements: Iterable[str],
        constraints: Mapping[str, str],
        progress: Progress,
    ) -> tuple[Pin, ...]:
        wanted = _write(folder, "requirements.txt", requirements)
        allowed = _write(
            folder, "constraints.txt", (f"{name}=={is_}" for name, is_ in constraints.items())
        )
        report = Path(folder) / "report.json"
        options = ["--dry-run", "--ignore-installed", "--report", str(report)]
        self._run([*options, "-r", wanted, "-c", allowed], progress)
        return _pins(report)

    def install(self, pins: Iterable[Pin], folder: Path, *, progress: Progress) -> None:
        """Put exactly these wheels into `folder`, each compared with its hash before it is opened.

        Raises:
            PackageError: RequirementsFailed, with what pip said last.
        """
        with tempfile.TemporaryDirectory(prefix="ntp-pip-") as scratch:
            wanted = _write(scratch, "requirements.txt", map(str, pins))
            options = ["--require-hashes", "--no-deps", "--no-compile", "--target", str(folder)]
            self._run([*options, "-r", wanted], progress)
        # Programs of a requirement: nobody in a sandbox is to start them by accident.
        shutil.rmtree(folder / "bin", ignore_errors=True)

    def _run(self, options: Sequence[str], progress: Progress) -> None:
        command = [*_command(), "install", *options, "--only-binary", ":all:", "--no-input"]
        command += ["--disable-pip-version-check", "--no-python-version-warning"]
        command += ["--retries", "2", "--timeout", "15", "--progress-bar", "off", "--no-color"]
        environ = {name: value for name, value in self.environ.items() if _KEPT.fullmatch(name)}
        said: list[str] = []
        late = False
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:

            def end() -> None:
                nonlocal late
                late = True
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

            timer = threading.Timer(self.timeout_s, end)
            timer.daemon = (
                True  # Ctrl-C may come before it can be cancelled, and it is not waited for
            )
            try:
                timer.start()
                for line in process.stdout or ():
                    said.append(line.strip())
                    del said[:-200]
                    if line.startswith(("Collecting ", "Downloading ", "Installing ")):
                        progress(line.strip())
            except BaseException:
                end()  # whoever interrupts us means pip too, which is in a session of its own
                raise
            finally:
                timer.cancel()
        if late:
            raise NoAnswerError(
                f"pip took longer than {self.timeout_s:.0f} s; try again, or use a nearer registry "
                "(PIP_INDEX_URL)",
                reason=REASON,
            )
        if process.returncode != 0:
            raise _failure(said)


class _ConflictError(PackageError):
    """The constraints and the requirements exclude each other."""


def unmet(requirements: Iterable[str], versions: Mapping[str, str]) -> tuple[str, ...]:
    """Return the requirements that installed `versions` (by canonical name) do not satisfy.

    Markers that do not hold here ask for nothing. A wish for an extra is never satisfied.
    """
    found = []
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if (
            version is None
            or requirement.extras
            or not requirement.specifier.contains(version, prereleases=True)
        ):
            found.append(text)
    return tuple(found)


def _command() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-I", "-m", "pip"]
    # A tool environment made by uv has no pip; Python itself brings one.
    with contextlib.suppress(ImportError):
        import ensurepip

        bundled = Path(ensurepip.__file__).parent / "_bundled"
        for wheel in sorted(bundled.glob("pip-*.whl")):
            return [str(interpreter()), "-I", str(wheel / "pip")]
    raise PackageError(
        "no pip is here to install requirements with; install it beside ntpctl: "
        "'uv tool install ntp-orchestrator --with pip', or 'pipx inject ntp-orchestrator pip'",
        reason=REASON,
        permanent=True,
    )


def _pins(report: Path) -> tuple[Pin, ...]:
    try:
        found = []
        for item in json.loads(report.read_bytes())["install"]:
            archive = item["download_info"]["archive_info"]
            hashes = archive.get("hashes") or dict([archive["hash"].split("=", 1)])
            metadata = item["metadata"]
            found.append(Pin(metadata["name"], metadata["version"], hashes["sha256"]))
    except (OSError, ValueError, KeyError, TypeError, LockError) as error:
        raise PackageError(
            f"pip's report cannot be read ({type(error).__name__}: {error}); pip 23.0 or newer is "
            "needed",
            reason=REASON,
        ) from error
    return tuple(sorted(found))


def _failure(said: Sequence[str]) -> PackageError:
    text = "\n".join(said)
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    last = (errors or [line for line in said if line] or ["it said nothing"])[-1]
    last = re.sub(r" \(from versions: .*\)", "", last)[:300]
    if any(sign in text for sign in _CONFLICT):
        return _ConflictError(
            f"{last}; loosen the versions that exclude each other", reason=REASON, permanent=True
        )
    if "do not match the hashes" in text.lower():
        return PackageError(
            f"{last} The registry has another file under the same version: find out why, then "
            "delete the lock beside the plugin to make a new one",
            reason=REASON,
            permanent=True,
        )
    if any(sign in text for sign in _UNREACHABLE):
        return NoAnswerError(
            f"no package registry answered: {last}; connect, or set PIP_INDEX_URL or "
            "PIP_FIND_LINKS to one that you can reach",
            reason=REASON,
        )
    return PackageError(
        f"{last}; correct the requirement (only wheels are installed), or set PIP_INDEX_URL or "
        "PIP_FIND_LINKS to a registry that has it",
        reason=REASON,
    )


def _write(folder: str, name: str, lines: Iterable[str]) -> str:
    path = Path(folder) / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)
