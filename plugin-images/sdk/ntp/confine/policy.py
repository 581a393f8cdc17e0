"""What one sandbox allows: plain data that crosses from controller to shim as JSON.

Standard library only, like everything that the shim imports (`python -I -S`).
"""

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

MIB = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class ConfineError(Exception):
    """A step of the sandbox was refused: what was found, and what to do."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the host that the plugin sees."""

    source: str
    target: str
    writable: bool = False
    noexec: bool = True
    """Nothing on it can be executed or mapped executable. In tier 1: executed only."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits and view of one plugin. Bytes; cores; counts."""

    name: str
    memory: int
    cpu: float
    pids: int
    tmp: int
    nofile: int = 256
    uid: int | None = None
    """Own uid of this plugin on the host; None: stay who we are (only where we are not root)."""
    gid: int | None = None
    binds: tuple[Bind, ...] = ()
    inet: bool = False
    """May make AF_INET stream sockets. The network namespace is empty all the same (the door)."""
    tier: int | None = None
    """3 root, 2 user namespaces, 1 Landlock, 0 nothing. None: the best that works; never 0."""
    seccomp: str | None = None
    """A file with a compiled BPF filter (`ntp.confine.seccomp.export`)."""
    fsize: int | None = None
    """Largest single file it may write; None: no bound but the size of what it writes to."""
    tmp_inodes: int = 1024
    cpu_burst: bool = True
    """Unused quota may be used up later, at most one period's worth: a quicker start."""
    oom_score_adj: int = 500
    workdir: str = "/"
    scratch: str | None = None
    """A folder of its own for temporary files where no tmpfs can be mounted (tiers 1 and 0)."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfineError(
                f"sandbox name was {self.name!r}: use letters, digits, '.', '_', '-'"
            )
        if self.uid == 0 or self.gid == 0:
            raise ConfineError("sandbox uid or gid was 0: give each plugin an ordinary uid")
        if self.memory < MIB or self.pids < 1 or self.cpu <= 0 or self.tmp < 0:
            raise ConfineError(
                f"limits of {self.name} were memory={self.memory} cpu={self.cpu} "
                f"pids={self.pids} tmp={self.tmp}: give at least 1 MiB, a part of a core, 1 process"
            )
        for bind in self.binds:
            for path in (bind.source, bind.target):
                if not path.startswith("/") or "\0" in path or "/../" in f"{path}/":
                    raise ConfineError(
                        f"bind path was {path!r}: give an absolute path without '..'"
                    )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Policy":
        """Raise ConfineError on anything but what `to_json` writes."""
        try:
            raw: dict[str, Any] = json.loads(text)
            unknown = set(raw) - {field.name for field in fields(cls)}
            if unknown:
                raise ConfineError(f"policy has unknown fields {sorted(unknown)}")
            raw["binds"] = tuple(Bind(**bind) for bind in raw.get("binds", ()))
            return cls(**raw)
        except (ValueError, TypeError, AttributeError) as e:
            raise ConfineError(f"policy file cannot be read: {e}") from e
