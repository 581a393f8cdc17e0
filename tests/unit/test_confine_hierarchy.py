import os
from pathlib import Path

import pytest

from ntp.confine import files, hierarchy, limits, sandbox
from ntp.confine.hierarchy import Layout
from ntp.confine.policy import MIB, Policy


def test_each_hierarchy_has_a_parent_of_our_own():
    layout = Layout({"memory": "/cg/memory", "cpu": "/cg/cpu"}, "/cg/unified")
    assert layout.parents() == {
        "memory": "/cg/memory/ntp",
        "cpu": "/cg/cpu/ntp",
        "v2": "/cg/unified/ntp",
    }


def test_a_delegated_folder_is_the_highest_that_may_be_written(tmp_path):
    """As on a systemd machine: root's slice, then the user's own manager."""
    own = "user.slice/user-1000.slice/user@1000.service/app.slice/shell.scope"
    folder = tmp_path
    for part in own.split("/"):
        folder = folder / part
        folder.mkdir()
        if "@" in str(folder):
            (folder / "cgroup.procs").touch()
    assert hierarchy.delegated(str(tmp_path), f"/{own}") == str(
        tmp_path / "user.slice/user-1000.slice/user@1000.service"
    )


def test_without_any_delegation_the_mount_is_named_so_that_the_refusal_names_it(tmp_path):
    assert hierarchy.delegated(str(tmp_path), "/user.slice/session-3.scope") == str(tmp_path)


def test_limits_are_read_back_from_either_version(tmp_path):
    v1, v2 = tmp_path / "v1", tmp_path / "v2"
    for folder in (v1, v2):
        folder.mkdir()
    (v1 / "memory.limit_in_bytes").write_text("67108864\n")
    (v1 / "cpu.cfs_quota_us").write_text("50000\n")
    (v1 / "cpu.cfs_period_us").write_text("100000\n")
    (v1 / "pids.max").write_text("max\n")
    (v2 / "memory.max").write_text("max\n")
    (v2 / "cpu.max").write_text("150000 100000\n")
    (v2 / "pids.max").write_text("64\n")
    assert limits.enforced(dict.fromkeys(("memory", "cpu", "pids"), str(v1))) == {
        "memory": 67108864,
        "cpu": 0.5,
    }
    assert limits.enforced({"v2": str(v2)}) == {"cpu": 1.5, "pids": 64}


def test_a_controller_that_systemd_did_not_delegate_is_told_with_the_fix(tmp_path):
    """Ubuntu 22.04 gives its users memory and pids only."""
    for file in ("memory.max", "memory.swap.max", "pids.max"):
        (tmp_path / file).touch()
    policy = Policy(name="x", memory=64 * MIB, cpu=0.5, pids=20, tmp=MIB)
    active, missing = limits.impose({"v2": str(tmp_path)}, policy)
    assert active == ("memory", "pids")
    (words,) = missing
    assert words.startswith(f"cpu limit: {tmp_path} was given no cpu controller")
    assert ("Delegate=cpu memory pids" in words) == (os.geteuid() != 0)


def test_groups_are_looked_for_wherever_anybody_may_have_made_them(tmp_path):
    """A plain login looks from another place than the service that made them."""
    expected = {
        str(tmp_path),
        str(tmp_path / "user.slice/user-1000.slice/user@1000.service"),
        str(tmp_path / "system.slice/desk.service"),
    }
    for folder in expected:
        (Path(folder) / hierarchy.PARENT / "desk-1.alpha").mkdir(parents=True)
    (tmp_path / "user.slice/user-1001.slice").mkdir()
    assert set(hierarchy.holders(str(tmp_path))) == expected


def test_version_1s_word_for_unlimited_is_no_limit(tmp_path):
    (tmp_path / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "cpu.cfs_quota_us").write_text("-1\n")
    assert limits.enforced({"memory": str(tmp_path), "cpu": str(tmp_path)}) == {}


def test_kernel_files_are_written_but_never_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write(f"{tmp_path}/cgroup.kil", "1")
    assert files.read(f"{tmp_path}/cgroup.kil") == ""


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("max\n", 0), ("-1", -1), ("12 34", 12), ("x12", 0)]
)
def test_a_number_is_the_first_word(text, expected):
    assert files.number(text) == expected


def test_a_field_is_found_by_its_whole_name():
    assert files.field("oom 1\noom_kill 3\noom_kill_disable 0\n", "oom_kill") == 3


@pytest.mark.parametrize(
    ("code", "expected"),
    [(0, (0, None)), (7, (7, None)), (128, (128, None)), (137, (None, 9)), (255, (255, None))],
)
def test_the_launchers_exit_code_is_turned_back_into_the_signal(code, expected):
    assert sandbox.outcome(code << 8) == expected


def test_a_signal_stays_a_signal():
    assert sandbox.outcome(9) == (None, 9)
    assert os.WIFSIGNALED(9)
