"""A plugin's process, in the sandbox that a live one has: started, watched, waited for, cleared away."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import ntp
from ntp.confine import cage, cgroup, probe, sandbox, seccomp, shim_storage
from ntp.confine.policy import ConfineError
from ntp.examination.cell import OUTPUT, Cell, Limits
from ntp.examination.fault import ConfinedError
from ntp.examination.left import claim, content
from ntp.examination.order import ANSWER, PROGRESS, Answer, Order

Told = Callable[[str], None]
_LOOK_S = 0.2
_GRACE_S = 15.0
"""What starting and ending a sandbox may take."""
_LAST_LINES = 12
_PROGRESS = 80
"""Bytes that say how far it is."""


class Chamber:
    """Where plugins are examined: a folder of its own, and the best isolation that works here.

    Args:
        limits: of each process.
        told: is told how far a process is, if anything.

    Attributes:
        wheels: folders with what the plugins require.
    """

    def __init__(self, limits: Limits, told: Told | None = None) -> None:
        self.limits = limits
        self._told = told
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.wheels: Sequence[Path] = ()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="ntp-test-"))
        if os.geteuid() == 0:
            self.folder.chmod(0o711)  # below tier 2 the plugin's user walks there itself
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """End what runs; what it started dies with it."""
        with self._lock:
            running = list(self._running)
        for process in running:
            process.kill()

    @cached_property
    def isolation(self) -> probe.Finding:
        """What stands between the plugin and this machine."""
        return probe.probe()

    def keep(self, files: dict[str, bytes]) -> Path:
        """Write a plugin's files into a folder of their own, which any user may read."""
        folder = self._new("code")
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
            path.chmod(0o644)
        for below in (folder, *(each for each in folder.rglob("*") if each.is_dir())):
            below.chmod(0o755)
        return folder

    @contextmanager
    def run(
        self, order: Order, codes: Sequence[Path], *, seed: str = "0", shown: bool = False
    ) -> Iterator[tuple[Answer, Path]]:
        """Yield what the process answers, and its folder, which goes with the block.

        Args:
            order: paths of the host: `folder` is ignored, and each subject's `code` is one of `codes`.
            codes: the plugins' folders.
            seed: of its hashes: PYTHONHASHSEED.
            shown: whether its progress is told.

        Raises:
            ConfinedError: it gave no answer.
        """
        room = self._new("run")
        try:
            yield self._run(order, codes, room, seed=seed, shown=shown), room
        finally:
            shutil.rmtree(room, ignore_errors=True)

    def _new(self, what: str) -> Path:
        folder = self.folder / f"{what}-{secrets.token_hex(4)}"
        folder.mkdir()
        return folder

    def _run(
        self, order: Order, codes: Sequence[Path], room: Path, *, seed: str, shown: bool
    ) -> Answer:
        cell = Cell(
            self.limits,
            self.isolation.tier,
            self._path(),
            self._filter(inet=bool(order.door)),
        )
        name, job = cell.job(order, codes, room, seed=seed)
        try:
            outcome = self._caged(job, room, shown=shown)
        finally:
            group = cgroup.attach(name)
            if group is not None and group.kill():
                group.remove()
        return self._answer(outcome, room)

    def _path(self) -> Sequence[Path]:
        """As live: no wheel can take the SDK's place, and each goes before what is installed here."""
        home, *others = self._sites
        if not self.wheels:
            return self._sites
        from ntp.package import cache, sdk_copies  # late: most plugins require nothing

        paths = sysconfig.get_paths()
        if home in {Path(paths[each]).resolve() for each in ("purelib", "platlib")}:
            # The SDK was installed beside everything else, which would go before the wheels with it.
            home, others = sdk_copies.base(cache.Cache(cache.root(os.environ))).sdk, [home, *others]
        return [home, *self.wheels, *others]

    @cached_property
    def _sites(self) -> Sequence[Path]:
        """What the plugin may import: the SDK first, then what is installed beside it."""
        paths = sysconfig.get_paths()
        found = [Path(ntp.__file__).parents[1], Path(paths["purelib"]), Path(paths["platlib"])]
        spec = find_spec("msgspec")
        if spec is not None and spec.origin is not None:
            found.append(Path(spec.origin).parents[1])
        return list(dict.fromkeys(path.resolve() for path in found if path.is_dir()))

    @cached_property
    def _filters(self) -> Path:
        return self._new("seccomp")

    def _filter(self, *, inet: bool) -> str | None:
        """Return the compiled system call filter; `inet`: with the sockets of a network that is empty."""
        if not self.isolation.tier:
            return None
        try:
            return str(seccomp.export(self._filters, inet=inet))
        except ConfineError:
            return None

    def _caged(self, job: dict[str, Any], room: Path, *, shown: bool) -> dict[str, Any]:
        sdk = Path(sandbox.__file__).parents[2]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", cage.__file__, str(sdk), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
        )
        with self._lock:
            self._running.add(process)
        try:
            output, errors = self._watched(process, job, room, shown=shown)
        finally:
            with self._lock:
                self._running.discard(process)
            if process.poll() is None:
                process.kill()
                process.communicate()
        try:
            return dict(json.loads(output))
        except ValueError:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2]
            return {"failed": last[:300] or f"its launcher ended with code {process.returncode}"}

    def _watched(
        self, process: subprocess.Popen[bytes], job: dict[str, Any], room: Path, *, shown: bool
    ) -> tuple[bytes, bytes]:
        given, left = json.dumps(job).encode(), self.limits.deadline_s + _GRACE_S
        said = ""
        while True:
            try:
                return process.communicate(given, timeout=_LOOK_S)
            except subprocess.TimeoutExpired:
                given, left = b"", left - _LOOK_S
            if left < 0:
                raise ConfinedError("its launcher did not end in time", plugins=False) from None
            if shown and self._told is not None:
                with suppress(FileNotFoundError):
                    words = content(room / PROGRESS, _PROGRESS).decode(errors="replace")
                    if words and words != said and words.isprintable():
                        said = words
                        self._told(words)
            used, complete = shim_storage.used(str(room))
            if used > self.limits.disk or not complete:
                raise ConfinedError(
                    f"it wrote more than {self.limits.disk >> 20} MiB", "let the plugin write less"
                )

    def _answer(self, outcome: dict[str, Any], room: Path) -> Answer:
        if "failed" in outcome:
            raise ConfinedError(
                f"no sandbox to test it in: {outcome['failed']}",
                "; ".join(self.isolation.missing),
                plugins=False,
            )
        lines = [
            "".join(char for char in line if char.isprintable())
            for line in outcome["stderr"].splitlines()[-_LAST_LINES:]
        ]
        said = "".join(f"\n  {line}" for line in lines)
        limits = self.limits
        if outcome["late"]:
            raise ConfinedError(
                f"it was ended: it did not finish within {limits.deadline_s:g} s{said}",
                "give it longer (--deadline SECONDS), or less data",
            )
        if outcome["oom"]:
            raise ConfinedError(
                f"it was ended: it needed more than {limits.memory >> 20} MiB of memory{said}",
                "keep less in memory (`history` is bounded for you), or give it more: --memory 2g",
            )
        if outcome["overflow"]:
            raise ConfinedError(
                f"it was ended: it wrote more than {OUTPUT >> 20} MiB to its output{said}",
                "let the plugin print less",
            )
        try:
            found: Answer = claim(room / ANSWER, Answer)
        except FileNotFoundError:
            ending = (
                f"code {outcome['code']}"
                if outcome["signal"] is None
                else f"signal {outcome['signal']}"
            )
            raise ConfinedError(
                f"it ended the process that ran it, with {ending}{said}",
                "a plugin must not call sys.exit() or os._exit()",
            ) from None
        return found
