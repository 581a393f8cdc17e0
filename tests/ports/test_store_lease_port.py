"""At most one holder, whose epoch is larger than any before."""

import asyncio
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from orchestrator.errors import ConflictError, UnreachableError
from orchestrator.store.lease import EPOCH_FILE, FileLease

HOLDER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from orchestrator.store.lease import FileLease
    lease = FileLease(Path(sys.argv[1]))
    lease.acquire()
    print(lease.epoch, flush=True)
    sys.stdin.read()
    """
)


async def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path):
    async with FileLease(tmp_path) as first:
        assert first.held()
        with pytest.raises(ConflictError, match=r"another controller \(pid \d+\)"):
            FileLease(tmp_path).acquire()
    assert not first.held()


async def test_each_holder_has_a_larger_epoch(tmp_path):
    epochs = []
    for _ in range(3):
        async with FileLease(tmp_path) as lease:
            epochs.append(lease.epoch)
    assert epochs == [epochs[0], epochs[0] + 1, epochs[0] + 2]


async def test_the_epoch_of_a_folder_that_was_removed_is_not_passed_below(tmp_path):
    for _ in range(5):
        async with FileLease(tmp_path / "kept") as before:
            pass
    shutil.rmtree(tmp_path / "kept")
    async with FileLease(tmp_path / "kept") as lease:
        assert lease.epoch > before.epoch


def test_the_kernel_drops_the_lock_of_a_killed_holder_and_the_epoch_grows(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        first = int(holder.stdout.readline())
        with pytest.raises(ConflictError, match=str(holder.pid)):
            FileLease(tmp_path).acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
    lease = FileLease(tmp_path)
    lease.acquire()
    assert lease.epoch == first + 1
    lease.release()


async def test_a_lock_file_that_was_replaced_is_no_longer_held(tmp_path):
    async with FileLease(tmp_path) as lease:
        (tmp_path / "controller.lock").unlink()
        assert not lease.held()


async def test_an_unreadable_epoch_never_goes_back(tmp_path):
    (tmp_path / EPOCH_FILE).write_text("rubbish")
    async with FileLease(tmp_path) as lease:
        assert lease.epoch > 1_000_000_000


async def test_a_folder_that_cannot_be_made_is_unreachable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnreachableError):
        async with asyncio.timeout(5), FileLease(tmp_path / "file"):
            pass
