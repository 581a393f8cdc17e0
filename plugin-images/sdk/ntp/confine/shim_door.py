"""The child of a shim that opens the door of its plugin, and nothing else."""

import os
import signal
import socket
from typing import NoReturn

from ntp.confine import door, kernel, shim_files
from ntp.confine.shim_watch import Settings


def main(settings: Settings) -> NoReturn:
    """Serve until killed; dies with the shim. Runs in a freshly forked child."""
    status = 1
    try:
        parent = os.getppid()
        # A copy of the lock would keep the plugin "alive", one of a pipe its output open.
        for fd in (settings.lock, settings.control, settings.stdout, settings.stderr):
            os.close(fd)
        kernel.die_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            listening = socket.socket(fileno=settings.door)
            door.serve(
                listening,
                settings.egress,
                refused=f"{settings.folder}/{shim_files.REFUSED}",
                private=settings.private,
                uid=None if settings.uid < 0 else settings.uid,
            )
            status = 0
    finally:
        os._exit(status)
