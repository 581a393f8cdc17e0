"""The child of a shim that opens the door of its plugin, and nothing else."""

import os
import signal
import socket
import sys
from typing import NoReturn

from ntp.confine import door_process, shim_files
from ntp.confine.shim_settings import Settings


def main(settings: Settings, shim: int) -> NoReturn:
    """Serve until killed; dies with the shim, whose pid is `shim`. Runs in a freshly forked child."""
    status = 1
    try:
        # A copy of the lock would keep the plugin "alive", one of a pipe its output open.
        for fd in (settings.lock, settings.control, settings.stdout, settings.stderr):
            os.close(fd)
        # The shim ignores some signals; whoever ends a door by hand should not need SIGKILL.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        refused = f"{settings.folder}/{shim_files.REFUSED}"
        _load([*settings.egress, *(each.partition("=")[2] for each in settings.detours)], refused)
        door_process.serve(
            socket.socket(fileno=settings.door),
            settings.egress,
            refused=refused,
            private=settings.private,
            detours=settings.detours,
            uid=None if settings.uid < 0 else settings.uid,
            parent=shim,
        )
        status = 0
    except Exception:  # noqa: BLE001  # the edge of a process; the shim opens another door
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _load(places: list[str], refused: str) -> None:
    """Import what the door will need of its late imports, while we still can.

    It gives up our uid, and an interpreter below /root or a private home can be read by nobody else.
    """
    hosts = [item.rpartition(":")[0] for item in places]
    if not all(host.startswith("127.") for host in hosts):
        from ntp.confine import addresses, door_names  # noqa: F401
    if not all(map(str.isascii, hosts)):
        import encodings.idna  # noqa: F401
    if shim_files.read(refused):
        import json  # noqa: F401
