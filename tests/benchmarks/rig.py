"""Runner processes on a real nats-server, two cores shared out: one is the measured process's alone."""

import asyncio
import contextlib
import mmap
import os
import struct
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.runner.conftest import Bench, heard

ROOT = Path(__file__).parents[2]
PLUGINS = Path(__file__).with_name("plugins")
OTHERS, MINE = 0, 1
"""Cores: of the server and whoever sends; of the process that is measured."""
DEADLINE_S = 180.0
_COUNTS = struct.Struct("=QQQ")


@asynccontextmanager
async def opened() -> AsyncIterator[Bench]:
    """Yield a bench without plugins; `add`, `open` and `start` are the caller's."""
    with tempfile.TemporaryDirectory(prefix="ntp-bench-rig-") as place:
        before = os.sched_getaffinity(0)
        pin(os.getpid(), OTHERS)  # what it starts inherits this
        try:
            async with heard(Bench(Path(place))) as bench:
                yield bench
        finally:
            os.sched_setaffinity(0, before)


def pin(pid: int, core: int) -> None:
    """Keep all threads of a process on a core, as far as the machine has it."""
    core %= os.cpu_count() or 1
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def hurry(pid: int) -> None:
    """Have a process run before all others of its core, if we may: then neighbours hardly show.

    Only for what leaves most of its core to them.
    """
    with contextlib.suppress(PermissionError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(1))


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Counter:
    """How many a process has taken, and when the first and the last of them; in a file that two share."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(_COUNTS.size))
        with file.open("r+b") as stream:
            self._map = mmap.mmap(stream.fileno(), _COUNTS.size)

    def write(self, count: int, first_ns: int, last_ns: int) -> None:
        """Times are monotonic nanoseconds."""
        _COUNTS.pack_into(self._map, 0, count, first_ns, last_ns)

    def read(self) -> tuple[int, int, int]:
        return _COUNTS.unpack_from(self._map)

    @property
    def count(self) -> int:
        return self.read()[0]


async def program(module: str, *words: str, core: int = OTHERS, hurries: bool = False) -> bytes:
    """Run a program of this room to its end; return what it printed. `hurries`: see `hurry`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.benchmarks.{module}",
        *words,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    pin(process.pid, core)
    if hurries:
        hurry(process.pid)
    try:
        async with asyncio.timeout(DEADLINE_S):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{module} ended with {process.returncode}"
    return printed
