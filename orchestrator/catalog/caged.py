"""One program in a sandbox, waited for: what every such program has in common."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntp.confine import cage, cgroup, probe, sandbox, seccomp
from ntp.confine.policy import ConfineError
from orchestrator.errors import ActionError


def tier() -> int:
    """Return the best tier that works here, never 0 (no sandbox at all).

    Raises:
        ActionError: SandboxUnavailable.
    """
    # Tried, as the runtime does: bubblewrap may be here and not be allowed to make namespaces.
    found = probe.probe()
    if found.tier == 0:
        raise ActionError(
            f"no sandbox to read it in: {'; '.join(found.missing)}", reason="SandboxUnavailable"
        )
    return found.tier


def remove_group(name: str) -> None:
    """Whatever became of the launcher; usually it was gone already."""
    group = cgroup.attach(name)
    if group is not None and group.kill():
        group.remove()


def filters(folder: Path, best: int) -> str | None:
    """Return the file of the compiled system call filter, made in `folder` where it is not there."""
    try:
        return str(seccomp.export(folder, inet=False))
    except ConfineError as error:
        # From tier 2 on, an empty network namespace and a private view stand without it.
        if best >= 2:
            return None
        raise ActionError(
            f"no sandbox to read it in: {error}", reason="SandboxUnavailable"
        ) from error


async def run(order: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    """Return what `cage.run` does of an order, or `failed` and why."""
    sdk = Path(sandbox.__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        cage.__file__,
        str(sdk),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, errors = await process.communicate(json.dumps(order).encode())
    except TimeoutError:
        return {"failed": f"it did not end within {timeout_s:.0f} s"}
    finally:
        if process.returncode is None:
            # What it started dies with it.
            process.kill()
            await process.wait()
    try:
        outcome = json.loads(output)
    except ValueError:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        return {"failed": last[:300] or f"its launcher ended with code {process.returncode}"}
    return dict(outcome)
