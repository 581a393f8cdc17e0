import resource
import stat
import sys

import pytest

from ntp.confine import seccomp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")


def test_the_file_is_named_by_its_content_and_made_once(tmp_path):
    path = seccomp.export(tmp_path / "cache", inet=False)
    before = path.stat()
    assert seccomp.export(tmp_path / "cache", inet=False) == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert stat.S_IMODE(before.st_mode) == 0o444
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_damaged_file_is_replaced(tmp_path):
    path = seccomp.export(tmp_path, inet=False)
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[:-8])
    assert seccomp.export(tmp_path, inet=False).read_bytes() == good


def test_a_disk_that_takes_half_of_it_keeps_nothing(tmp_path):
    whole = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, whole[1]))
        with pytest.raises(OSError, match="too large"):
            seccomp.export(tmp_path, inet=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, whole)
    assert not list(tmp_path.iterdir())


def test_the_right_to_the_internet_makes_another_filter(tmp_path):
    assert seccomp.export(tmp_path, inet=True) != seccomp.export(tmp_path, inet=False)


def test_a_filter_is_whole_instructions_and_small():
    for inet in (False, True):
        program = seccomp.compiled(inet=inet)
        assert len(program) % 8 == 0
        assert 0 < len(program) // 8 < 4096  # BPF_MAXINSNS


def test_no_call_is_on_both_lists_or_twice():
    allowed, refused = seccomp.ALLOWED.split(), seccomp.REFUSED.split()
    assert not set(allowed) & set(refused)
    assert len(allowed) == len(set(allowed))
    assert len(refused) == len(set(refused))
    assert not {"socket", "clone", "clone3", "memfd_create"} & set(allowed)
