import os
import subprocess
import sys

from ntp.confine import shim_files


def opened(path):
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def test_a_lock_is_seen_by_others_without_being_taken(tmp_path):
    ours, theirs = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    try:
        assert not shim_files.is_locked(theirs)
        assert shim_files.take_lock(ours)
        assert shim_files.is_locked(theirs)
        assert not shim_files.take_lock(theirs)
        assert shim_files.take_lock(ours)  # again by its holder
    finally:
        os.close(ours)
    assert not shim_files.is_locked(theirs)
    os.close(theirs)


def test_a_lock_lives_on_in_a_child_that_was_given_it(tmp_path):
    ours, theirs = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    shim_files.take_lock(ours)
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[ours]
    )
    os.close(ours)
    assert shim_files.is_locked(theirs)
    child.communicate(b"\n")
    assert not shim_files.is_locked(theirs)
    os.close(theirs)


def test_a_file_is_whole_or_absent(tmp_path):
    path = str(tmp_path / "file")
    shim_files.write_atomic(path, b"one" * 100_000)
    assert shim_files.read(path) == b"one" * 100_000
    shim_files.write_atomic(path, b"two")
    assert shim_files.read(path) == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_was_reserved_holds_the_record_and_nothing_else(tmp_path):
    path = str(tmp_path / "exit.json")
    shim_files.reserve(path, 4096)
    assert shim_files.read(path) is None
    assert (tmp_path / "exit.json.part").stat().st_blocks > 0
    shim_files.write_reserved(path, b"{}")
    assert shim_files.read(path) == b"{}"


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to("secret")
    try:
        content = shim_files.read(str(tmp_path / "link"))
    except OSError:
        content = None
    assert content is None


def test_emptying_an_absent_folder_is_done(tmp_path):
    shim_files.empty(str(tmp_path / "absent"))
    (tmp_path / "file").touch()
    shim_files.empty(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_start_time_names_a_process_for_good():
    assert shim_files.start_time(os.getpid()) > 0
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert shim_files.start_time(child.pid) == 0
