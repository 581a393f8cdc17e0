"""Make shims by fork: what every start needs is imported once, by a server beside the controller.

Starting Python and importing json, ctypes and the sandbox takes 50 ms of a core; a fork takes one.
The server ends when its controller does (its socket is closed); what it made goes on.
"""

import gc
import os
import signal
import socket
import sys
from typing import NoReturn

# bubblewrap and landlock are imported for the children, which would do it each for itself.
from ntp.confine import bubblewrap, landlock, shim_start

__all__ = ["bubblewrap", "landlock", "main"]

_REQUEST_BYTES = 8192
_DESCRIPTORS = 3


def main(fd: int) -> None:
    """Serve requests on a SOCK_SEQPACKET socket until its other end is closed.

    A request is the absolute path of a run folder with three descriptors: lock, files, report (see
    `shim_start.main`). The answer is the pid of the shim.
    """
    gc.freeze()  # what is never collected is never written to, and stays shared with the children
    signal.signal(
        signal.SIGCHLD, signal.SIG_IGN
    )  # the kernel reaps them: nobody asks how they ended
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C is for the controller; we follow it
    with socket.socket(fileno=fd) as server:
        while True:
            path, descriptors, _, _ = socket.recv_fds(
                server, _REQUEST_BYTES, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
            if not path:
                return
            pid = os.fork()
            if pid == 0:
                os.close(fd)
                _become_shim(path.decode(), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            try:
                server.send(str(pid).encode())
            except OSError:  # the controller died meanwhile; the next one adopts what we made
                return


def _become_shim(folder: str, descriptors: list[int]) -> NoReturn:
    try:
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        lock, files, report = descriptors
        shim_start.main(folder, lock, files, report)
    except Exception:  # noqa: BLE001  # the edge of a process
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(1)
