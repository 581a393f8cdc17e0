"""A NATS that is not ours, and the keys that make us its operator: looked at whole, before any is used.

What it must offer: orchestrator.bus.broker.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bus import claims
from orchestrator.bus.keys import Key
from orchestrator.errors import ConfigError, Problem

OPERATOR = "operator.nk"
SYSTEM = "system.creds"
LONGEST = 64 * 1024
"""Bytes of one file."""


@dataclass(frozen=True, slots=True)
class External:
    """What it takes to use it."""

    address: str
    """host:port, or several of one cluster, separated by commas."""
    operator_seed: bytes
    """The operator's seed, or one of its signing keys'."""
    system_credentials: bytes
    """A .creds file of a user of the system account."""


def read_keys(address: str, folder: Path) -> External:
    """Return the NATS at `address` with the keys in `folder`: operator.nk and system.creds.

    Raises:
        ConfigError: the folder or a file is missing, can be read by others, or holds something else;
            all problems at once.
    """
    objection = _objection(folder)
    if objection:
        message = f"NTP_NATS names its folder of keys as {folder}, which {objection}"
        fix = f"make it, with {OPERATOR} and {SYSTEM} in it (docs/cli.md), or name another"
        raise ConfigError([Problem("environment", 0, 0, message, fix)])
    problems: list[Problem] = []
    seed = _take(folder / OPERATOR, _operator_seed, problems)
    credentials = _take(folder / SYSTEM, _credentials, problems)
    if problems:
        raise ConfigError(problems)
    return External(address, seed, credentials)


def _objection(folder: Path) -> str:
    try:
        return "" if stat.S_ISDIR(folder.stat().st_mode) else "is no folder"
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be looked at: {getattr(error, 'strerror', None) or error}"


def _take(file: Path, check: Callable[[bytes], bytes], problems: list[Problem]) -> bytes:
    try:
        mode, given, content = _read(file)
    except FileNotFoundError:
        fix = f"put it there: {_WANTED[file.name]}"
        problems.append(Problem(str(file), 0, 0, "the file does not exist", fix))
        return b""
    except OSError as error:
        message = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        fix = "make it a regular file that the controller's user may read"
        problems.append(Problem(str(file), 0, 0, message, fix))
        return b""
    if mode & (0o037 if given else 0o077):
        # As our own keys are kept: whoever has this one may do what he likes on that NATS.
        message = f"the file holds a key, and others may read or change it (mode {mode:04o})"
        problems.append(Problem(str(file), 0, 0, message, f"chmod 600 {file}"))
    try:
        return check(content)
    except ValueError as error:
        problems.append(Problem(str(file), 0, 0, str(error), f"put it there: {_WANTED[file.name]}"))
    return b""


def _read(file: Path) -> tuple[int, bool, bytes]:
    """Return its mode, whether root let us read it by our group (as a pod is given a Secret), and its content."""
    # Without O_NONBLOCK the open of a FIFO waits for a writer, for ever.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        given = found.st_uid == 0 != os.geteuid() and found.st_gid in os.getgroups()
        return stat.S_IMODE(found.st_mode), given, os.read(descriptor, LONGEST)
    finally:
        os.close(descriptor)


_WANTED = {
    OPERATOR: "the seed of its operator, or of one of his signing keys, in one line (SO…)",
    SYSTEM: "the .creds file of a user of its system account",
}


def _operator_seed(content: bytes) -> bytes:
    seed = content.strip()
    if _public(seed)[:1] != "O":
        raise ValueError("the file holds no seed of an operator")
    return seed


def _credentials(content: bytes) -> bytes:
    token, seed = claims.parts(content)
    try:
        user = claims.decode(token.decode()).get("sub")
    except ValueError as error:
        raise ValueError("the file holds a token that cannot be read") from error
    if _public(seed) != user:
        raise ValueError("the file holds a user's token and the seed of another key")
    return content


def _public(seed: bytes) -> str:
    try:
        return Key(seed).public
    except Exception:  # noqa: BLE001 - nkeys raises exceptions of its own for each mistake
        return ""
