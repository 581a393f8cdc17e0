"""Where shims come from: a server that forks them (`ntp.confine.shim_serve`), and how it is asked."""

import json
import os
import select
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import ActionError

ANSWER_S = 15.0
END_S = 5.0
_SOCKET_FD = 3
_EMPTY = b""


class Nursery:
    """One server for each folder of shim code, made when first needed and again if it died.

    Blocking, for threads. A server ends when this object does, or this process.
    """

    def __init__(self) -> None:
        self._servers: dict[Path, _Server] = {}
        self._one_at_a_time = threading.Lock()

    def begin(
        self, confine: Path, folder: str, lock: int, files: Mapping[str, bytes]
    ) -> tuple[int, int]:
        """Make a shim; return its pid and the pipe on which it reports (see `shim_start.main`).

        It holds the lock from here on: `lock` may be closed. Secrets go through memory, not the disk.
        ActionError: nobody answered. A shim may have been made all the same: the lock tells.
        """
        content = {name: data.decode("latin-1") for name, data in files.items()}
        memory = os.memfd_create("launch", os.MFD_CLOEXEC)
        report, report_end = os.pipe2(os.O_CLOEXEC)
        try:
            os.write(memory, json.dumps(content).encode())
            with self._one_at_a_time:
                pid = self._server(confine).ask(folder, (lock, memory, report_end))
        except BaseException:
            os.close(report)
            raise
        finally:
            os.close(memory)
            os.close(report_end)
        return pid, report

    def close(self) -> None:
        with self._one_at_a_time:
            for server in self._servers.values():
                server.end()
            self._servers.clear()

    def _server(self, confine: Path) -> "_Server":
        server = self._servers.get(confine)
        if server is None or not server.lives():
            server = self._servers[confine] = _Server(confine)
        return server


class _Server:
    def __init__(self, confine: Path) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._fd = ours.detach()
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", str(confine / "shim.py"), "serve", str(_SOCKET_FD)],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), _SOCKET_FD),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                ],
                setsigmask=(),
            )
        self.end = weakref.finalize(self, _end, self._fd, self._pid)

    def lives(self) -> bool:
        with suppress(ChildProcessError):
            return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        return False

    def ask(self, folder: str, descriptors: tuple[int, int, int]) -> int:
        answer = _EMPTY
        with socket.socket(fileno=os.dup(self._fd)) as server:
            try:
                socket.send_fds(server, [folder.encode()], descriptors)
                if select.select([server], [], [], ANSWER_S)[0]:
                    answer = server.recv(64)
            except OSError:
                answer = _EMPTY
        if not answer:
            # Asked twice, it could make two: so it goes, and the next start finds out what there is.
            os.kill(self._pid, signal.SIGKILL)
            self.end()
            raise ActionError(
                f"the server of shims ended while it was asked for {Path(folder).name}",
                reason="StartFailed",
            )
        return int(answer)


def _end(fd: int, pid: int) -> None:
    """Close our end, which ends the server, and reap it."""
    os.close(fd)
    deadline = time.monotonic() + END_S
    with suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() >= deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
