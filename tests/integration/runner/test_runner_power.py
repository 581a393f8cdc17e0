"""The emulated power cut takes exactly what was not synced: else the campaign would prove nothing."""

import os

import pytest

from tests.worlds.disk import Disk, can_mount


@pytest.mark.skipif(not can_mount(), reason="only root mounts a disk of its own")
def test_what_was_not_synced_is_gone(tmp_path):
    disk = Disk(tmp_path)
    try:
        for name in ("synced", "written"):
            with (disk.place / name).open("wb") as file:
                file.write(b"x" * 10_000)
                file.flush()
                if name == "synced":
                    os.fsync(file.fileno())
        folder = os.open(disk.place, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        with (disk.place / "written").open("ab") as file:
            file.write(b"y" * 10_000)
        (disk.place / "late").write_bytes(b"z")
        disk.cut()
        disk.restore()
        assert (disk.place / "synced").read_bytes() == b"x" * 10_000
        assert (disk.place / "written").read_bytes() != b"x" * 10_000 + b"y" * 10_000
        assert not (disk.place / "late").exists()
    finally:
        disk.close()
