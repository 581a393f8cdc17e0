"""Reading what a person named: regular files only, and never more of them than is allowed."""

import os
import stat
from pathlib import Path

from orchestrator.errors import Problem
from orchestrator.spec import environment

_ENV_BYTES = 1024 * 1024


def read(path: Path, limit: int) -> bytes:
    """Read a regular file; one byte over the limit is enough to know. Raises OSError."""
    # Without O_NONBLOCK the open of a FIFO waits for a writer, for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path.name} is no regular file")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(limit + 1)
    finally:
        os.close(descriptor)


def unreadable(name: str, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        fix = "create it, or name another with -f (try 'ntpctl demo' for an example)"
        return Problem(name, 0, 0, "the file does not exist", fix)
    reason = (error.strerror or str(error)).lower()
    return Problem(name, 0, 0, f"the file cannot be read: {reason}", "name a readable regular file")


def read_setting(name: str, path: Path, limit: int, problems: list[Problem]) -> bytes:
    """Read the file that a setting names; a problem, and nothing, where it cannot be read."""
    try:
        found = read(path, limit)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        message = f"{name} names {path.name}, which cannot be read: {why}"
        fix = "name a readable file, in .env or the environment"
        problems.append(Problem("environment", 0, 0, message, fix))
        return b""
    if 0 < len(found) <= limit:
        return found
    what = f"has more than {limit >> 10} KiB" if found else "is empty"
    message = f"{name} names {path.name}, which {what}"
    problems.append(Problem("environment", 0, 0, message, "name another file"))
    return b""


def shown(path: Path, folder: Path) -> str:
    """Return a path as a message about the project in `folder` names it."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def read_dotenv(path: Path, problems: list[Problem]) -> dict[str, str]:
    """Return what a .env says, nothing where there is none. Appends all problems."""
    try:
        content = read(path, _ENV_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        problems.append(unreadable(path.name, error))
        return {}
    values, mistakes = environment.parse(content)
    problems += mistakes
    return values
