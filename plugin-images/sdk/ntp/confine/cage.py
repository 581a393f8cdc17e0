"""Run one program in a sandbox and wait for it: `python -I -S cage.py SDK [PARENT]`, order and answer as JSON.

A process of its own, for the sandbox forks, and a caller with threads must not. With its parent's pid it is
killed where that (its thread that started us) ends, and what it started dies with it.
"""

import base64
import contextlib
import json
import os
import selectors
import sys
import time
from typing import Any

PYTHON = ("-S", "-s", "-P", "-B")
"""Options of a caged Python: no site (system packages, .pth files, sitecustomize), no user site, no
current folder, no .pyc."""
POLL_S = 0.02
LOOK_S = 0.2
"""While its output is open: that it has ended shows there at once, but for a child that keeps it open."""
DRAIN_S = 0.5
"""After the end of the program: what it wrote last is in the pipe already."""


class _Pipe:
    """One output of the program, bounded."""

    def __init__(self, limit: int) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.content = bytearray()
        self.limit = limit
        self.overflow = False

    def read(self) -> bool:
        """Take what is there; False at the end."""
        try:
            chunk = os.read(self.reader, 65536)
        except BlockingIOError:
            return True
        self.content += chunk[: self.limit - len(self.content)]
        self.overflow = self.overflow or len(self.content) >= self.limit
        return bool(chunk)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Return how the program ended and what it wrote; `failed` if it could not be started."""
    from ntp.confine import cgroup, sandbox
    from ntp.confine.policy import ConfineError, Policy

    policy = Policy.from_json(json.dumps(order["policy"]))
    group = cgroup.create(policy.name, policy)
    answer, errors = _Pipe(order["limit"]), _Pipe(order["limit"])
    try:
        try:
            pid = sandbox.spawn(
                policy,
                order["argv"],
                order["env"],
                stdout=answer.writer,
                stderr=errors.writer,
                group=group,
            )
        except ConfineError as error:
            return {"failed": str(error)}
        os.close(answer.writer)
        os.close(errors.writer)
        deadline = time.monotonic() + order["deadline_s"]
        status = _wait(pid, (answer, errors), deadline)
        killed = status is None
        oom = group.oom_kills() > 0
        sandbox.kill(pid, group)
        if status is None:
            status = os.waitpid(pid, 0)[1]
        code, signum = sandbox.outcome(status)
    finally:
        with contextlib.suppress(ConfineError, OSError):
            group.kill()
            group.remove()
    return {
        "code": code,
        "signal": signum,
        "late": killed and time.monotonic() >= deadline,
        "oom": oom,
        "overflow": answer.overflow or errors.overflow,
        "stdout": base64.b64encode(answer.content).decode(),
        "stderr": errors.content.decode(errors="replace"),
    }


def _wait(pid: int, pipes: tuple[_Pipe, _Pipe], deadline: float) -> int | None:
    """Return the wait status; None: at the deadline, or when it wrote too much."""
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe.reader, selectors.EVENT_READ, pipe)
        ended_at: float | None = None
        status = 0
        while True:
            for key, _ in selector.select(LOOK_S if selector.get_map() else POLL_S):
                if not key.data.read():
                    selector.unregister(key.fd)
            now = time.monotonic()
            if ended_at is None:
                found, status = os.waitpid(pid, os.WNOHANG)
                ended_at = now if found else None
            # A child that it left behind may hold the pipes open for ever.
            if ended_at is not None and (not selector.get_map() or now > ended_at + DRAIN_S):
                return status
            if ended_at is None and (now >= deadline or any(pipe.overflow for pipe in pipes)):
                return None


def main() -> None:
    # Last: nothing installed beside the SDK may stand in for a module of Python itself.
    sys.path.append(sys.argv[1])
    if len(sys.argv) > 2:
        from ntp.confine import kernel

        if not kernel.live_with(int(sys.argv[2])):
            sys.exit(1)
    os.umask(0o077)
    sys.stdout.write(json.dumps(run(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
