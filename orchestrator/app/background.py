"""A controller without a terminal: started where none answers, gone after `down`."""

import contextlib
import fcntl
import shutil
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from ntp.package import seal_key
from orchestrator.app import STORE
from orchestrator.app.standby import LOG, Standby
from orchestrator.control import client
from orchestrator.control.protocol import SOCKET
from orchestrator.errors import UnreachableError
from orchestrator.settings import Settings
from orchestrator.store import glance

STORAGE = "storage"
"""What `down` leaves: the folders that plugins keep for themselves, ledgers among them."""
RUN = "run"
"""A folder for each instance that a runtime has made."""
MADE = "made-its-parent"
"""There: the folder above is ours, and goes with its last project."""
LOG_BYTES = 1 << 20
PATIENCE_S = 30.0
END_S = 5.0
LOOK_S = 0.02


def make_state(state: Path) -> None:
    """Make a project's state folder; remember whether the folder of all projects was made with it."""
    new = not state.parent.exists()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    if new:
        (state / MADE).touch(mode=0o600)


def ensure(settings: Settings, standby: Standby | None = None) -> bool:
    """Start a controller where none answers, and wait until it does; tell whether one was started.

    `standby`: one that is loaded already.

    Raises:
        UnreachableError: it ended, or did not answer in time; with the last lines of its log.
    """
    socket = settings.state / SOCKET
    if client.answers(socket):
        return False
    make_state(settings.state)
    log = settings.state / LOG
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    log.touch(mode=0o600)
    with contextlib.nullcontext(standby) if standby else Standby(settings) as loaded:
        controller = loaded.send()
        try:
            _until_it_answers(loaded, controller, socket, log)
        except BaseException:
            # Nobody knows of it yet, whoever interrupts us least of all. What runs is not its to end.
            controller.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                controller.wait(END_S)
            raise
    # It outlives us; init, not we, will reap it.
    controller.returncode = 0
    return True


def _until_it_answers(
    standby: Standby, controller: "subprocess.Popen[bytes]", socket: Path, log: Path
) -> None:
    ends = time.monotonic() + PATIENCE_S
    trouble = ""
    while not trouble and not client.answers(socket):
        if controller.poll() is not None:
            trouble = "the controller ended at once"
        elif time.monotonic() > ends:
            trouble = f"the controller did not answer in {PATIENCE_S:.0f} s"
        else:
            time.sleep(LOOK_S)
    standby.write_to(log)
    if trouble:
        raise UnreachableError(f"{trouble}:\n{_tail(log)}")


def forget(settings: Settings, *, delete_data: bool) -> None:
    """Wait until the controller has let go of its lock and is gone; then remove what it kept."""
    lock = settings.state / "controller.lock"
    ends = time.monotonic() + PATIENCE_S
    while lock.exists() and (_held(lock) or _runs(lock)):
        if time.monotonic() > ends:
            raise UnreachableError("the controller still runs; see `ntpctl status`")
        time.sleep(LOOK_S)
    kept = settings.state / STORAGE
    if delete_data or not (kept.is_dir() and any(kept.iterdir())):
        _remove_state(settings.state)
        return
    _remove_all(settings.state, but=(STORAGE, MADE))


def leave_no_trace(settings: Settings) -> None:
    """Remove what a controller has made to which nothing was ever applied; called under its lock."""
    state = settings.state
    if glance.applied_from(state / STORE) is not None or any((state / RUN).glob("*")):
        return
    # A background controller's log tells why it ended.
    with contextlib.suppress(FileNotFoundError):  # `down` removes it at the same time
        _remove_all(state, but=(STORAGE, LOG, MADE))
        if not any(each.name != MADE for each in state.iterdir()):
            _remove_state(state)


def _remove_state(state: Path) -> None:
    ours = (state / MADE).exists()
    shutil.rmtree(state, ignore_errors=True)
    if ours:
        with contextlib.suppress(OSError):  # other projects are in it
            if {each.name for each in state.parent.iterdir()} == {seal_key.NAME}:
                (state.parent / seal_key.NAME).unlink()
            state.parent.rmdir()


def _remove_all(folder: Path, *, but: Collection[str]) -> None:
    for entry in folder.iterdir():
        if entry.name in but:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def stored(settings: Settings) -> list[str]:
    """Return the plugins whose storage is there."""
    folder = settings.state / STORAGE
    return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []


def _held(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _runs(lock: Path) -> bool:
    """Tell whether the controller that last held the lock is still a process of this project."""
    try:
        pid = int(lock.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False
    return b"\0serve\0" in command


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-10:]
    return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"
