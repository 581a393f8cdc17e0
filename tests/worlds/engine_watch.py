"""Removes a Docker Engine of the tests when who started it is gone, however it went (kill -9).

    python engine_watch.py FOLDER <pipe

Who starts it holds the other end of the pipe, and writes nothing. It imports nothing of the tests.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

END_S = 30.0


def members(folder):
    """Processes of the engine: its folder is on their command line, or they descend from one."""
    parents = {}
    found = set()
    mark = f"{folder}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            stat = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            parents[int(entry.name)] = int(stat[1])
            if stat[0] != "Z" and mark in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def end(folder):
    """Kill whoever there is, dockerd and containerd before those whom they would start again."""
    deadline = time.monotonic() + END_S
    while (left := members(folder)) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def unmount(folder):
    lines = Path("/proc/self/mounts").read_text().splitlines()
    for point in reversed([line.split()[1] for line in lines]):
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", point], check=False)


def remove_groups(containers):
    """Remove control groups: shims that were killed did not."""
    for each in containers:
        for group in Path("/sys/fs/cgroup").glob(f"**/docker/{each}"):
            for child in (*sorted(group.glob("**/"), reverse=True), group):
                with suppress(OSError):
                    child.rmdir()


def main():
    folder = Path(sys.argv[1])
    sys.stdin.buffer.read()
    end(folder)
    remove_groups(path.name for path in (folder / "data" / "containers").glob("*"))
    unmount(folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
