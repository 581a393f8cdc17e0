"""What the sandbox of one process is made of: its view of files, its limits, its environment."""

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from ntp.confine import cage, sandbox
from ntp.confine.policy import Bind, Policy
from ntp.examination.order import Order
from ntp.package.interpreter import interpreter

OUTPUT = 8 * 1024**2
"""Bytes that it may write to its output."""
_TMP = 64 * 1024**2
_UID = 64_997
"""On the host, where we are root."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one process. Bytes, seconds; `disk`: of the files that it writes; `cores`: of CPU."""

    memory: int = 1024**3
    deadline_s: float = 3600.0
    disk: int = 2 * 1024**3
    cores: float = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What all processes of a chamber share.

    Attributes:
        tier: of the isolation.
        sites: what may be imported.
        filters: the compiled system call filter, or None.
    """

    limits: Limits
    tier: int
    sites: Sequence[Path]
    filters: str | None

    def job(
        self, order: Order, codes: Sequence[Path], room: Path, *, seed: str
    ) -> tuple[str, dict[str, Any]]:
        """Write the order into its folder; return the name of its control group, and what a cage is told."""
        tier, limits = self.tier, self.limits
        uid = _UID if os.geteuid() == 0 else None
        files = [_readable(Path(file), room, by=uid) for file in order.data.files]
        binds = [Bind(str(code), f"/plugin/{at}", noexec=False) for at, code in enumerate(codes)]
        binds += [
            Bind(str(site), f"/site/{at}", noexec=False) for at, site in enumerate(self.sites)
        ]
        binds += [Bind(str(f), f"/data/{at}/{f.name}") for at, f in enumerate(files)]
        binds.append(Bind(str(room), "/room", writable=True))
        if order.door:
            binds.append(Bind(order.door, "/door"))
        policy = Policy(
            name=f"ntp-test-{secrets.token_hex(6)}",
            memory=limits.memory,
            cpu=limits.cores,
            pids=64,
            tmp=_TMP,
            uid=uid,
            gid=uid,
            binds=tuple(binds),
            tier=tier,
            seccomp=self.filters,
            inet=bool(order.door),
            fsize=limits.disk,
            oom_score_adj=1000,
            scratch=str(room) if tier < 2 else None,
        )

        def seen(path: str) -> str:
            return sandbox.seen(policy, tier, path)

        places = {str(code): seen(f"/plugin/{at}") for at, code in enumerate(codes)}
        data = [seen(f"/data/{at}/{file.name}") for at, file in enumerate(files)]
        replace = msgspec.structs.replace
        order = replace(
            order,
            folder=seen("/room"),
            door=seen("/door") if order.door else "",
            data=replace(order.data, files=data),
            subject=replace(order.subject, code=places[order.subject.code]),
            indicators=[replace(each, code=places[each.code]) for each in order.indicators],
        )
        (room / "order.json").write_bytes(msgspec.json.encode(order))
        if uid is not None:
            for path in (room, *room.rglob("*")):
                os.chown(path, uid, uid, follow_symlinks=False)
        job = {
            "policy": asdict(policy),
            "argv": [
                str(interpreter()),
                *cage.PYTHON,
                "-m",
                "ntp.examination.child",
                seen("/room/order.json"),
            ],
            "env": {
                "PATH": "/usr/bin:/bin",
                "HOME": seen("/room"),
                "LANG": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join(seen(f"/site/{at}") for at in range(len(self.sites))),
                "PYTHONHASHSEED": seed,
                "TMPDIR": seen("/room"),
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
            "deadline_s": limits.deadline_s,
            "limit": OUTPUT,
        }
        return policy.name, job


def _readable(file: Path, room: Path, *, by: int | None) -> Path:
    """Return the file, or a copy where the sandbox's user could not read it."""
    file = file.resolve()
    if by is None or file.stat().st_mode & 0o004:
        return file
    folder = room / f"data-{secrets.token_hex(4)}"
    folder.mkdir()
    return Path(shutil.copy(file, folder / file.name))  # its name may say the symbol
