"""Several plugins in one process, in a sandbox, fed with what was recorded; nothing of them runs here."""

import asyncio
import base64
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from ntp.confine import cage, sandbox, shim_storage
from ntp.confine.policy import Bind, Policy
from ntp.contract.launch import LaunchFile
from ntp.contract.replay import ReplayAnswer, ReplayOrder
from orchestrator.catalog import caged
from orchestrator.errors import ActionError, ungrouped
from orchestrator.launch import Environment

CODE, FOLDER = "/plugin", "/replay"
"""Where the process finds the plugins' folders, each under its number, and the recording."""
ORDER = "order.json"
PROGRESS = "progress"
_SITE = "/site"
_MEMORY = 1024**3
_FILE = 256 * 1024**2
_TMP = 16 * 1024**2
_DISK = 512 * 1024**2
"""Beside what it is given."""
_LOOK_S = 0.5
_OUTPUT = 1024**2
_UID = 64_998
"""On the host, where we are root."""
GRACE_S = 15.0
"""What starting and ending a sandbox may take."""
_LAST_LINES = 12


async def replay(
    order: ReplayOrder,
    codes: Sequence[Path],
    environments: Sequence[Environment],
    folder: Path,
    *,
    filters: Path,
    deadline_s: float,
) -> ReplayAnswer:
    """Return what the process answers, which is a claim of plugins.

    Args:
        order: with paths as they are in the sandbox: `/plugin/0` …, and below `/replay`.
        codes: the plugins' folders, by number.
        environments: what each plugin may import; they are put one behind the other.
        folder: becomes `/replay`, writable, and belongs to the sandbox from now on.
        filters: folder for compiled system call filters.
        deadline_s: for all of it.

    Raises:
        ActionError: SandboxUnavailable, ReplayFailed.
    """
    policy = await asyncio.to_thread(_policy, codes, environments, folder, filters)

    def seen(path: str) -> str:
        return sandbox.seen(policy, policy.tier or 0, path)

    (folder / ORDER).write_bytes(msgspec.json.encode(_translated(order, seen)))
    if policy.uid is not None:
        await asyncio.to_thread(_give, folder, policy.uid)
    given = await asyncio.to_thread(_used, folder)
    job = {
        "policy": asdict(policy),
        "argv": [
            str(environments[0].python),
            *cage.PYTHON,
            "-m",
            "ntp.replaying",
            seen(f"{FOLDER}/{ORDER}"),
        ],
        "env": {
            "PATH": "/usr/bin:/bin",
            "HOME": seen(FOLDER),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(
                seen(bind.target) for bind in policy.binds if bind.target.startswith(_SITE)
            ),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        },
        "deadline_s": deadline_s,
        "limit": _OUTPUT,
    }
    try:
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(_watch(folder, given + _DISK))
                outcome = await caged.run(job, deadline_s + GRACE_S)
                watching.cancel()
    finally:
        await asyncio.to_thread(caged.remove_group, policy.name)
    return _answer(outcome, deadline_s)


def _policy(
    codes: Sequence[Path], environments: Sequence[Environment], folder: Path, filters: Path
) -> Policy:
    tier, root = caged.tier(), os.geteuid() == 0
    binds = [Bind(str(code), f"{CODE}/{at}", noexec=False) for at, code in enumerate(codes)]
    sites = dict.fromkeys(
        # The SDK first and what it needs last, as for one plugin alone.
        [each.site[0] for each in environments]
        + [site for each in environments for site in each.site[1:-1]]
        + [each.site[-1] for each in environments]
    )
    binds += [Bind(str(site), f"{_SITE}/{at}", noexec=False) for at, site in enumerate(sites)]
    binds.append(Bind(str(folder), FOLDER, writable=True))
    uid = _UID if root else None
    return Policy(
        name=f"ntp-replay-{secrets.token_hex(6)}",
        memory=_MEMORY,
        cpu=1.0,
        pids=32,
        tmp=_TMP,
        uid=uid,
        gid=uid,
        binds=tuple(binds),
        tier=tier,
        seccomp=caged.filters(filters, tier),
        fsize=_FILE,
        oom_score_adj=1000,
    )


def _translated(order: ReplayOrder, seen: Callable[[str], str]) -> ReplayOrder:
    """Below tier 2 there is no view of its own: the process is told the real paths."""

    def launched(launch: LaunchFile) -> LaunchFile:
        return msgspec.structs.replace(launch, code=seen(launch.code))

    return msgspec.structs.replace(
        order,
        strategy=launched(order.strategy),
        executor=launched(order.executor),
        indicators=[launched(each) for each in order.indicators],
        captured=[seen(each) for each in order.captured],
        data=[seen(each) for each in order.data],
        ledger=None if order.ledger is None else seen(order.ledger),
        folder=seen(order.folder),
        progress=seen(order.progress),
    )


async def _watch(folder: Path, most: int) -> None:
    """End the replay where its folder holds more than `most` bytes: it lies on the user's disk."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if await asyncio.to_thread(_used, folder) > most:
            raise ActionError(
                f"the replay failed: its plugins wrote more than {_DISK >> 20} MiB",
                reason="ReplayFailed",
            )


def _used(folder: Path) -> int:
    total, complete = shim_storage.used(str(folder))
    return total if complete else sys.maxsize


def _give(folder: Path, uid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


def _answer(outcome: dict[str, Any], deadline_s: float) -> ReplayAnswer:
    if "failed" in outcome:
        raise ActionError(
            f"no sandbox to replay in: {outcome['failed']}", reason="SandboxUnavailable"
        )
    said = "\n".join(
        "".join(char for char in line if char.isprintable())
        for line in outcome["stderr"].splitlines()[-_LAST_LINES:]
    )
    if outcome["late"]:
        why = f"it did not end within {deadline_s:.0f} s\n  fix: give it longer: --deadline SECONDS"
    elif outcome["oom"]:
        why = f"it needed more than {_MEMORY >> 20} MiB of memory"
    elif outcome["overflow"]:
        why = f"it wrote more than {_OUTPUT >> 10} KiB\n  fix: let the plugins print less"
    else:
        try:
            answer = msgspec.json.decode(base64.b64decode(outcome["stdout"]), type=ReplayAnswer)
        except msgspec.MsgspecError:
            why = f"its process ended with code {outcome['code']}, signal {outcome['signal']}"
        else:
            if answer.refused and said:
                fix = f"{answer.fix}\n{said}"
                return msgspec.structs.replace(answer, fix=fix)
            return answer
    raise ActionError(f"the replay failed: {why}" + f"\n{said}" * bool(said), reason="ReplayFailed")
