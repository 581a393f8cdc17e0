"""What the shim is told: a Launch, put into the words of the sandbox."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ntp.confine import sandbox
from ntp.confine.policy import Bind, Policy
from ntp.contract import launch as contract
from orchestrator.launch import Launch
from orchestrator.runtime.view import CODE, NOFILE, STORAGE, environment
from orchestrator.spec.model import Resources


@dataclass(frozen=True, slots=True)
class Place:
    """Where one instance lives on this machine."""

    group: str
    """Name of its control group."""
    launch: Path
    scratch: Path
    storage: Path | None
    uid: int | None
    """None: that of the controller."""
    tier: int
    seccomp: Path | None


def order(launch: Launch, place: Place) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return (the order for the shim, the files of the launch as this plugin will find them)."""
    root = os.geteuid() == 0
    common: dict[str, Any] = {
        "launch": str(place.launch),
        "uid": -1 if place.uid is None else place.uid,
        "gid": -1 if place.uid is None else place.uid,
        "private_mounts": root,
        "scratch": str(place.scratch),
        "egress": [str(host) for host in launch.egress],
        "private": [str(host) for host in launch.private],
        "detours": [f"{each.place}={each.to}" for each in launch.detours],
        "storage": str(place.storage) if place.storage else "",
        "quota": launch.storage,
        "limits": asdict(launch.resources),
    }
    if launch.environment is None:
        limited = launch.resources.memory > 0
        return (
            {
                **common,
                "policy": None,
                "argv": list(launch.argv),
                "env": {"PATH": os.defpath, "HOME": str(place.launch), "LANG": "C.UTF-8"},
                "door": False,
                "group": place.group if limited else None,
                "code": CODE,
                "exception": "",
            },
            dict(launch.files),
        )
    policy = policy_of(launch, place)

    def seen(path: str) -> str:
        return sandbox.seen(policy, place.tier, path)

    python = str(launch.environment.python)
    words = [seen(word) if word.startswith((CODE, STORAGE)) else word for word in launch.argv]
    return (
        {
            **common,
            # Without a sandbox root stays root: another uid would not even reach what lies in a
            # private home. The entry asked for it by name, and `missing` says so.
            "policy": None if place.tier == 0 and place.uid is None and root else asdict(policy),
            "argv": [python, *words],
            "env": environment(launch, tmp=seen("/tmp"), files=seen(contract.FOLDER)),  # noqa: S108
            "door": bool(launch.egress),
            "group": place.group,
            "code": seen(CODE),
            "exception": f"a sandbox: switched off, runs as {'root' if root else 'you'}",
        },
        _files(launch.files, code=seen(CODE), storage=seen(STORAGE)),
    )


def policy_of(launch: Launch, place: Place, *, resources: Resources | None = None) -> Policy:
    """The policy of a plugin; `resources` other than those it was launched with, for an update."""
    limits = resources or launch.resources
    environment = launch.environment
    binds = [
        Bind(str(place.launch), contract.FOLDER),
        Bind(
            f"{place.launch}/{contract.TERMINATION_FILE}",
            f"{contract.FOLDER}/{contract.TERMINATION_FILE}",
            writable=True,
        ),
    ]
    if environment is not None:
        # Compiled extensions are mapped executable; nothing of it can be written.
        binds += [Bind(str(site), str(site), noexec=False) for site in environment.site]
    if launch.code is not None:
        binds.append(Bind(str(launch.code), CODE, noexec=False))
    if place.storage is not None:
        binds.append(Bind(str(place.storage), STORAGE, writable=True))
    return Policy(
        name=place.group,
        memory=limits.memory,
        cpu=limits.cpu,
        pids=limits.pids,
        tmp=limits.tmp,
        nofile=NOFILE,
        uid=place.uid,
        gid=place.uid,
        binds=tuple(binds),
        inet=launch.inet,
        tier=place.tier,
        seccomp=str(place.seccomp) if place.seccomp else None,
        fsize=max(launch.storage, limits.tmp) or None,
        scratch=str(place.scratch),
    )


def _files(files: Mapping[str, bytes], *, code: str, storage: str) -> dict[str, bytes]:
    """Below tier 2 there is no view of its own: a plugin is told the real paths."""
    found = dict(files)
    if contract.LAUNCH_FILE in found and (code, storage) != (CODE, STORAGE):
        raw = json.loads(found[contract.LAUNCH_FILE])
        for key, ours, real in (("code", CODE, code), ("storage", STORAGE, storage)):
            if raw.get(key) == ours:
                raw[key] = real
        found[contract.LAUNCH_FILE] = json.dumps(raw).encode()
    return found


def launch_folder(run_folder: Path, key: str) -> Path:
    """Where the files of a launch go: on a tmpfs where we can have one without being root."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() == 0 or not runtime or not _is_tmpfs(runtime):
        return run_folder / "launch"
    return Path(runtime) / f"ntp-{key}"


def _is_tmpfs(path: str) -> bool:
    real = os.path.realpath(path)
    best = ("", "")
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        below = real == point or real.startswith(f"{point.rstrip('/')}/")
        if below and len(point) >= len(best[0]):
            best = (point, after.split()[0])
    return best[1] in {"tmpfs", "ramfs"} and os.access(real, os.W_OK)
