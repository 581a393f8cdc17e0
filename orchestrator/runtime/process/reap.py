"""After a shim that could not do it itself (kill -9, a reboot): end what it left, and say so."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ntp.confine import shim_end, shim_files
from orchestrator.errors import ActionError
from orchestrator.runtime.process.folder import Label, RunFolder
from orchestrator.runtime.removal import remove_tree

SCRATCH = "scratch"


def clear(folder: RunFolder, label: Label | None) -> None:
    """End and remove everything of the last life but its record and output. Hold the lock.

    ActionError: something of it does not go away; nothing else may be started under its name.
    """
    state = folder.state(label) if label else None
    if state is not None and state.boot == boot_id() and state.start_time:
        _kill_session(state.pid, state.start_time)
    if not shim_end.remove_group(str(folder.path)):
        raise ActionError(
            f"processes of the last life of {folder.name} cannot be killed, or its control group "
            "cannot be removed: look at it with `ntpctl doctor`",
            reason="LeftoverAlive",
        )
    order = _order(folder)
    if "launch" in order:
        shim_files.empty(order["launch"])
    remove_tree(folder.path / SCRATCH)


def bury(folder: RunFolder, label: Label) -> None:
    """Record the end of a life that nobody saw; the plugin died with its shim. Hold the lock."""
    clear(folder, label)
    state = folder.state(label)
    if state is None or folder.has_ended():
        return
    message = "its shim was killed, and the plugin with it"
    if state.boot != boot_id():
        message = "the machine was restarted"
    cause = shim_files.read(folder.file(shim_files.STOPPING))
    end = shim_end.Ending(
        at=time.time(),
        reason="SupervisorLost" if cause is None else "Stopped",
        message=message if cause is None else cause.decode(errors="replace"),
    )
    shim_files.write_reserved(folder.file(shim_files.EXIT), end.to_json())


def kill_shim(folder: RunFolder) -> None:
    """SIGKILL the shim that holds a run folder, if there is one; its plugin dies with it."""
    pid = folder.shim_pid()
    with suppress(OSError):
        shim = os.pidfd_open(pid or 0)
        try:
            if folder.is_held() and folder.shim_pid() == pid:  # so the pid is still its holder's
                signal.pidfd_send_signal(shim, signal.SIGKILL)
        finally:
            os.close(shim)


def erase(folder: RunFolder, trash: Path) -> None:
    """Remove a run folder with all that it names elsewhere, in one step for who looks. Hold the lock."""
    order = _order(folder)
    if "launch" in order:
        with suppress(OSError):
            Path(order["launch"]).rmdir()
    folder.path.rename(trash)
    remove_tree(trash)


def boot_id() -> str:
    return (shim_files.read("/proc/sys/kernel/random/boot_id") or b"").decode().strip()


def _kill_session(pid: int, start_time: int) -> None:
    """SIGKILL a process and its session, if it is still the one that was started."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if shim_files.start_time(pid) == start_time:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)


def _order(folder: RunFolder) -> dict[str, Any]:
    content = shim_files.read(folder.file(shim_files.ORDER))
    found: dict[str, Any] = json.loads(content) if content else {}
    return found
