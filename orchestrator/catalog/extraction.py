"""The manifest of a lone file: asked for in a sandbox, and believed no further than it is checked."""

import asyncio
import base64
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ntp.confine import cage, sandbox
from ntp.confine.policy import Bind, Policy
from ntp.package.environment import Environment
from orchestrator.catalog import caged
from orchestrator.errors import ActionError

OUTPUT_BYTES = 512 * 1024
GRACE_S = 15.0
"""Beyond the deadline inside: what starting and ending a sandbox may take on a busy machine."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one extraction. Bytes, cores, seconds. `uid`: on the host, where we are root."""

    memory: int = 512 * 1024**2
    cpu: float = 1.0
    pids: int = 32
    tmp: int = 16 * 1024**2
    deadline_s: float = 20.0
    uid: int = 64_999
    tier: int | None = None
    """None: the best that works here, never 0 (no sandbox at all)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the child said: `fields`, or else why not, in words, and what to do."""

    fields: Mapping[str, Any]
    message: str = ""
    fix: str = ""
    asked: bool = True
    """False: it could not be asked."""


async def ask(
    file: Path, environment: Environment, limits: Limits, filters: Path, *, stand_ins: bool
) -> Answer:
    """Import `file` in a sandbox and return what it says of itself; nothing of it runs here.

    Args:
        file: the module, in a folder that the child may see whole.
        environment: what it may import.
        limits: of the child.
        filters: folder for compiled system call filters.
        stand_ins: replace modules that are not there.

    Raises:
        ActionError: no sandbox can be had here.
    """
    order = await asyncio.to_thread(_order, file, environment, limits, filters, stand_ins=stand_ins)
    try:
        outcome = await caged.run(order, limits.deadline_s + GRACE_S)
    finally:
        await asyncio.to_thread(caged.remove_group, order["policy"]["name"])
    if "failed" in outcome:
        raise ActionError(
            f"no sandbox to read it in: {outcome['failed']}", reason="SandboxUnavailable"
        )
    return _answer(outcome, limits)


def _order(
    file: Path, environment: Environment, limits: Limits, filters: Path, *, stand_ins: bool
) -> dict[str, Any]:
    root = os.geteuid() == 0
    tier = caged.tier() if limits.tier is None else limits.tier
    binds = [Bind(str(file.parent), CODE)]
    binds += [
        Bind(str(folder), f"{SITE}/{at}", noexec=False)
        for at, folder in enumerate(environment.site)
    ]
    policy = Policy(
        name=f"ntp-extract-{secrets.token_hex(6)}",
        memory=limits.memory,
        cpu=limits.cpu,
        pids=limits.pids,
        tmp=limits.tmp,
        uid=limits.uid if root else None,
        gid=limits.uid if root else None,
        binds=tuple(binds),
        tier=tier,
        seccomp=caged.filters(filters, tier),
        fsize=limits.tmp,
        oom_score_adj=1000,
    )
    # The lower tiers cannot show a folder at another path.
    shown = [sandbox.seen(policy, tier, bind.target) for bind in binds]
    options = ["--stand-ins"] if stand_ins else []
    return {
        "policy": asdict(policy),
        "argv": [
            str(environment.python),
            *cage.PYTHON,
            "-m",
            "ntp.extract",
            *options,
            f"{shown[0]}/{file.name}",
        ],
        "env": {
            "PATH": "/usr/bin:/bin",
            "HOME": "/tmp",  # noqa: S108 - the sandbox's own
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(shown[1:]),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        },
        "deadline_s": limits.deadline_s,
        "limit": OUTPUT_BYTES,
    }


CODE, SITE = "/plugin", "/site"
"""Where the child finds its file and what it may import."""


def _answer(outcome: Mapping[str, Any], limits: Limits) -> Answer:
    early = "do at import only what takes no time and no data; the rest belongs in initialize()"
    if outcome["late"]:
        return Answer({}, f"its import did not end within {limits.deadline_s:.0f} s", early)
    if outcome["oom"]:
        return Answer(
            {}, f"its import needed more than {limits.memory // 1024**2} MiB of memory", early
        )
    if outcome["overflow"]:
        return Answer({}, f"its import wrote more than {OUTPUT_BYTES // 1024} KiB", "print less")
    if outcome["signal"] is not None:
        return Answer({}, f"its import ended with signal {outcome['signal']}", early)
    document = base64.b64decode(outcome["stdout"])
    if outcome["code"] != 0 or not document:
        said = _last_line(outcome["stderr"])
        return Answer(
            {},
            f"its import ended the program with code {outcome['code']}"
            + (f": {said}" * bool(said)),
            "a plugin file defines a class; it must not end the program that imports it",
        )
    try:
        fields = json.loads(document)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not (
        isinstance(fields.get("manifest"), dict) or isinstance(fields.get("refused"), dict)
    ):
        return Answer(
            {},
            "its import disturbed the answer of the program that reads it",
            "do not write to open file descriptors at import",
        )
    refused = fields.get("refused")
    if isinstance(refused, dict):
        line = refused.get("line")
        message = str(refused.get("message"))[:500]
        where = f"line {line}: " if isinstance(line, int) else ""
        return Answer(fields, where + message, str(refused.get("fix"))[:500])
    return Answer(fields)


def _last_line(text: str) -> str:
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return "".join(char for char in (lines or [""])[-1] if char.isprintable())[:200]
