"""One instance's run folder, read: what observe() shows is made of these files and one lock.

The files are written by the shim (`ntp.confine.shim_files` names them) and by `birth`.
"""
# ruff: noqa: PTH110, PTH116, PTH208  # a pass looks at thousands of files: pathlib would be half the time

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ntp.confine import shim_files
from orchestrator.decide.state import Exit, Hashes, Instance, Isolation, Phase, Usage
from orchestrator.spec.model import Resources

NAME = re.compile(r"[a-z]([a-z0-9_-]{0,38}[a-z0-9])?")
TRASH = ".trash-"


class Label(msgspec.Struct, frozen=True):
    """Who an instance is: enough to adopt it. Nothing in it is secret."""

    id: str
    project: str
    name: str
    kind: str
    generation: int
    attempt: int
    epoch: int
    hashes: Hashes
    spec: str
    resources: Resources
    created: datetime
    uid: int
    """-1: that of the controller."""


class State(msgspec.Struct, frozen=True):
    pid: int
    start_time: int
    shim: int
    started: float
    boot: str


class Ending(msgspec.Struct, frozen=True):
    """`ntp.confine.shim_end.Ending` as it is read; unknown fields of a newer shim are ignored."""

    at: float
    code: int | None = None
    signal: int | None = None
    oom: bool = False
    reason: str = ""
    message: str = ""
    permanent: bool = False
    memory_peak: int = 0
    last_output: tuple[str, ...] = ()


class RunFolder:
    """Paths and contents of one run folder. Cheap to make; remembers what cannot change in a life."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._texts: dict[str, str] = {}
        self._label: tuple[tuple[int, int], Label] | None = None
        self._state: tuple[str, State] | None = None
        self._isolation: tuple[str, Isolation] | None = None
        self._exit: tuple[str, Exit] | None = None

    def file(self, name: str) -> str:
        """An absolute path as text: 10,000 of them a pass, and pathlib would be half the time."""
        path = self._texts.get(name)
        if path is None:
            path = self._texts[name] = f"{self.path}/{name}"
        return path

    def label(self) -> Label | None:
        """None: there is none, or none that can be read (a start was cut off before it)."""
        path = self.file(shim_files.INSTANCE)
        try:
            stat = os.stat(path)
        except FileNotFoundError:
            self._label = None
            return None
        mark = (stat.st_ino, stat.st_mtime_ns)
        if self._label is None or self._label[0] != mark:
            label = _decode(shim_files.read(path), Label)
            self._label = None if label is None else (mark, label)
        return self._label[1] if self._label else None

    def has_label(self) -> bool:
        return os.path.exists(self.file(shim_files.INSTANCE))

    def state(self, label: Label) -> State | None:
        if self._state is None or self._state[0] != label.id:
            state = _decode(shim_files.read(self.file(shim_files.STATE)), State)
            self._state = None if state is None else (label.id, state)
        return self._state[1] if self._state else None

    def is_held(self) -> bool:
        """Whether a shim lives here, or somebody is just starting one."""
        try:
            fd = os.open(self.file(shim_files.LOCK), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return shim_files.is_locked(fd)
        finally:
            os.close(fd)

    def has_ended(self) -> bool:
        """Whether the end of the last life was recorded; its shim may still be tidying up."""
        return os.path.exists(self.file(shim_files.EXIT))

    def shim_pid(self) -> int | None:
        """The pid in the lock file. Its holder's only while `is_held`."""
        content = shim_files.read(self.file(shim_files.LOCK), 32)
        return int(content) if content and content.strip().isdigit() else None

    @contextmanager
    def taken(self) -> Iterator[int | None]:
        """Hold the folder's lock and yield its descriptor; None where somebody else holds it.

        The lock may be handed on: it lasts as long as any copy of the descriptor, in any process.
        """
        while True:
            fd = os.open(self.file(shim_files.LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if not shim_files.take_lock(fd):
                    yield None
                    return
                if not self._is_current(fd):  # removed between our open and our lock
                    continue
                yield fd
                return
            finally:
                os.close(fd)

    def _is_current(self, fd: int) -> bool:
        try:
            there = os.stat(self.file(shim_files.LOCK))
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(fd))

    def instance(self, label: Label, usage: Usage) -> Instance:
        """Read the life of now. Says EXITED only where the end was recorded (see `reap`)."""
        names = set(os.listdir(self.path))
        state = self.state(label) if shim_files.STATE in names else None
        end = self._end(label) if shim_files.EXIT in names else None
        if end is not None:
            phase = Phase.EXITED
        elif state is None:
            phase = Phase.CREATED
        else:
            phase = Phase.STOPPING if shim_files.STOPPING in names else Phase.RUNNING
        return Instance(
            name=label.name,
            generation=label.generation,
            attempt=label.attempt,
            hashes=label.hashes,
            phase=phase,
            id=label.id,
            pid=state.pid if state and phase in (Phase.RUNNING, Phase.STOPPING) else None,
            created=label.created,
            started=_utc(state.started) if state else None,
            exit=end,
            isolation=self._surroundings(label) if shim_files.ISOLATION in names else None,
            usage=usage,
            refused=self._refusals() if shim_files.REFUSED in names else {},
        )

    def _end(self, label: Label) -> Exit | None:
        if self._exit is None or self._exit[0] != label.id:
            raw = _decode(shim_files.read(self.file(shim_files.EXIT)), Ending)
            if raw is None:
                return None
            end = Exit(
                at=_utc(raw.at),
                code=raw.code,
                signal=raw.signal,
                oom=raw.oom,
                reason=raw.reason,
                message=raw.message,
                permanent=raw.permanent,
                memory_peak=raw.memory_peak,
                last_output=raw.last_output,
            )
            self._exit = (label.id, end)
        return self._exit[1]

    def _surroundings(self, label: Label) -> Isolation | None:
        if self._isolation is None or self._isolation[0] != label.id:
            isolation = _decode(shim_files.read(self.file(shim_files.ISOLATION)), Isolation)
            self._isolation = None if isolation is None else (label.id, isolation)
        return self._isolation[1] if self._isolation else None

    def surrounded_anew(self, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
        """Write down that what holds this life was changed; nothing where it was not looked at yet."""
        isolation = _decode(shim_files.read(self.file(shim_files.ISOLATION)), Isolation)
        if isolation is not None:
            told = replace(isolation, active=change(isolation.active))
            shim_files.write_atomic(self.file(shim_files.ISOLATION), msgspec.json.encode(told))

    def _refusals(self) -> dict[str, int]:
        return _decode(shim_files.read(self.file(shim_files.REFUSED)), dict[str, int]) or {}


def _decode(content: bytes | None, kind: Any) -> Any:
    if not content:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError:
        return None


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
