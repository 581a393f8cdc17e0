"""The end of one plugin: nothing of it is left but the record of how it ended."""
# ruff: noqa: PTH110  # see files.py

import json
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Protocol

from ntp.confine import sandbox, shim_files, shim_system
from ntp.confine.cgroup import Group
from ntp.confine.shim_output import harmless

TERMINATION_BYTES = 64 * 1024
MESSAGE_CHARS = 2000
_WORD = re.compile(r"[A-Z][A-Za-z0-9]{0,39}")
_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<name>.+)$', re.MULTILINE)
LONGER = "make it shorter, or give the entry a longer `timeout`"
_ITSELF = frozenset({"Exited", "ExitedZero"})
"""What a runner says where the plugin called sys.exit."""
OURS = frozenset(
    {"OOMKilled", "Stopped", "StorageFull", "SupervisorLost", "LogFlood", "NetworkLost", "Evicted"}
)
"""What only the runtime can know; a plugin that says it of itself is not believed."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What exit.json holds. `at`: seconds since 1970; exactly one of `code` and `signal`, or neither."""

    at: float
    code: int | None = None
    signal: int | None = None
    oom: bool = False
    reason: str = ""
    message: str = ""
    permanent: bool = False
    memory_peak: int = 0
    last_output: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        return json.dumps(
            {field.name: getattr(self, field.name) for field in fields(self)}
        ).encode()


class Watched(Protocol):
    """What the watch knows of the life that ended."""

    cause: str
    reason: str

    @property
    def last(self) -> tuple[str, ...]: ...


def has_group(folder: str) -> bool:
    return os.path.exists(f"{folder}/{shim_files.GROUP}")


def group_of(folder: str) -> Group | None:
    """The control group that the shim of a run folder made; None: none, or it is gone."""
    content = shim_files.read(f"{folder}/{shim_files.GROUP}")
    if not content:
        return None
    raw = json.loads(content)
    return Group(
        raw["name"],
        tuple((controller, path) for controller, path in raw["folders"]),
        tuple(raw["active"]),
        tuple(raw["missing"]),
    )


def terminate(pid: int, *, sandboxed: bool) -> None:
    with suppress(ProcessLookupError):
        if sandboxed:
            sandbox.terminate(pid)
        else:
            shim_system.terminate(pid)


def kill(pid: int, group: Group | None, *, sandboxed: bool) -> None:
    if sandboxed:
        sandbox.kill(pid, group)
    else:
        shim_system.kill(pid, group)


def remove_group(folder: str) -> bool:
    """Empty and remove the group; True when none is left. Asked again after any failure."""
    group = group_of(folder)
    if group is not None and not (group.kill() and group.remove()):
        return False
    shim_files.remove(f"{folder}/{shim_files.GROUP}")
    return True


def ending(
    status: int,
    watched: Watched,
    group: Group | None,
    *,
    termination: bytes,
    code_folder: str,
    peak: int,
) -> Ending:
    """Say how a life ended, from the surest witness to the least: kernel, shim, plugin.

    `peak` in bytes counts where the group does not.
    """
    code, signum = sandbox.outcome(status)
    by_code = os.WEXITSTATUS(status) if signum and os.WIFEXITED(status) else None
    """bubblewrap's word for a signal, which a plugin's own exit code may be as well."""
    usage = group.usage() if group else None
    oom = watched.reason == "OOMKilled" or bool(group and group.oom_kills())
    reason, message, permanent = verdict(
        "OOMKilled" if oom else watched.reason,
        watched.cause,
        termination=termination,
        code_folder=code_folder,
        refused=usage.pids_refused if usage and code != 0 else 0,
    )
    if by_code and signum:
        code, signum, message = told_apart(by_code, signum, reason, message)
    return Ending(
        at=time.time(),
        code=code,
        signal=signum,
        oom=oom,
        reason=reason,
        message=message,
        permanent=permanent,
        memory_peak=(usage.memory_peak if usage else 0) or peak,
        last_output=watched.last,
    )


def told_apart(
    by_code: int, signum: int, reason: str, message: str
) -> tuple[int | None, int | None, str]:
    """Return (code, signal, message) where an init told 128 + N, which may be an exit code as well.

    Whoever said why it ends (`reason`) ended itself; without a word both are possible.
    """
    if reason in _ITSELF:
        return by_code, None, message
    doubt = f"killed by {_named(signum)}, or it ended itself with exit code {by_code}"
    return None, signum, message if reason or message else doubt


def _named(signum: int) -> str:
    import signal  # late: 0.8 MB

    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


def verdict(
    reason: str, cause: str, *, termination: bytes, code_folder: str, refused: int
) -> tuple[str, str, bool]:
    """Return (reason, message, permanent), from the surest witness to the least.

    `reason`: what the runtime knows, with its `cause`; empty: nothing. `termination`: what the plugin
    wrote before it ended. `refused`: how often it was refused a new process or thread.
    """
    message, permanent = cause if reason else "", False
    if not reason and termination:
        reason, message, permanent = last_words(termination, code_folder)
    if not message and refused:
        message = (
            f"was refused a new process or thread {refused} times: "
            "raise resources.pids, or let it start fewer"
        )
    return reason, message[:MESSAGE_CHARS], permanent


def last_words(termination: bytes, code_folder: str) -> tuple[str, str, bool]:
    """Return (reason, message, permanent) from what a plugin wrote before it ended.

    Either a Termination (ntp.contract.launch) as JSON, or what faulthandler dumps when a callback did
    not return in time; of that, the innermost frame in the plugin's own code. Written by the plugin,
    hence not trusted.
    """
    if termination.startswith(b"Timeout ("):
        text = termination.decode("utf-8", "replace")
        frames = [frame for frame in _FRAME.finditer(text) if frame["file"].startswith(code_folder)]
        if not frames:
            return "CallbackTimeout", f"a callback did not return in time; {LONGER}", False
        frame = frames[0]
        place = f"{frame['file'].removeprefix(code_folder).lstrip('/')}:{frame['line']}"
        where = harmless(f"{place} in {frame['name']}".encode())
        return (
            "CallbackTimeout",
            f"a callback did not return in time: it was at {where}; {LONGER}",
            False,
        )
    try:
        raw: dict[str, Any] = json.loads(termination)
        reason, message, permanent = raw["reason"], raw["message"], raw.get("permanent", False)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", harmless(termination[:MESSAGE_CHARS]), False
    if not isinstance(reason, str) or not _WORD.fullmatch(reason) or reason in OURS:
        reason = ""
    return reason, harmless(str(message).encode("utf-8", "replace")), permanent is True


def finish(folder: str, status: int, watched: Watched, *, peak: int) -> None:
    """Write the record, then take away everything that only served this life."""
    order = json.loads(shim_files.read(f"{folder}/{shim_files.ORDER}") or b"{}")
    termination = shim_files.read(f"{order['launch']}/termination", TERMINATION_BYTES) or b""
    end = ending(
        status,
        watched,
        group_of(folder),
        termination=termination,
        code_folder=order["code"],
        peak=peak,
    )
    shim_files.write_reserved(f"{folder}/{shim_files.EXIT}", end.to_json())
    shim_files.empty(order["launch"])
    remove_group(folder)
