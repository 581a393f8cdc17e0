"""Every attack in every tier: what is expected to hold holds, what is said to be open is open."""

import functools
import json
import os
import sys
from typing import Any

import pytest

from ntp.confine import kernel

ATTACK = ("/plugin/attacks.py", "/plugin/facts.json")
PYTHON = (sys.executable, "-I")

LANDLOCK_ONLY = {
    "fill_inodes": "its scratch folder is an ordinary one",
    "fill_tmp": "its scratch folder is an ordinary one",
    "have_bounding_set": "only root can empty it; no_new_privs makes it worthless",
    "map_exec_in_tmp": "Landlock sees execve, not mmap",
    "read_passwd_of_host": "the C library looks up its own user there",
    "reach_neighbours_socket": "until Landlock 9",
    "see_host_name": "no namespaces",
}
UNSTAGED = ("exec_in_tmp", "exec_in_shm", "exec_in_storage", "map_exec_in_tmp", "fill_inodes")
"""Open in tier 2 where only bubblewrap, not Python, may mount in a user namespace."""


def expected_open(tier: int, *, staged: bool) -> set[str]:
    """What comes through in a tier, and is said so in `missing`."""
    if tier == 3:
        return set()
    if tier == 2:
        return set() if staged else set(UNSTAGED)
    abi = kernel.landlock_abi()
    came = set(LANDLOCK_ONLY) - ({"reach_neighbours_socket"} if abi >= 9 else set())
    if abi < 6:
        came |= {"kill_a_bystander", "reach_abstract_socket"}
    return came


@pytest.fixture(scope="session")
def attacked(rig, tier_works, attack_names):
    """Run all attacks in a tier, once; answers and what the rig saw."""

    @functools.cache
    def run(tier: int) -> tuple[dict[str, Any], dict[str, Any]]:
        tier_works(tier)
        seen = rig(tier, *PYTHON, *ATTACK, attacks=attack_names)
        assert seen["outcome"] == [0, None], seen
        return json.loads(seen["stdout"].splitlines()[-1]), seen

    return run


@pytest.mark.parametrize("tier", [3, 2, 1])
def test_an_attack_is_held_where_it_is_said_to_be(attacked, tier, attack):
    answers, seen = attacked(tier)
    held = attack not in expected_open(tier, staged=seen["staged"])
    assert answers[attack] is held


@pytest.mark.parametrize("tier", [3, 2, 1])
def test_nothing_outside_was_harmed_and_nothing_is_left(attacked, tier):
    _, seen = attacked(tier)
    assert seen["bystander_alive"] or "kill_a_bystander" in expected_open(tier, staged=True)
    assert seen["gone"]
    assert seen["group_removed"]
    assert "late" not in seen


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root")
def test_a_fork_bomb_is_refused_by_the_group_and_counted(attacked):
    _, seen = attacked(3)
    assert seen["usage"]["pids_refused"] > 0


@pytest.mark.parametrize("tier", [3, 2, 1])
def test_a_right_to_the_internet_is_a_right_to_tcp_through_the_door_alone(rig, tier_works, tier):
    tier_works(tier)
    names = ("inet_stream_socket", "inet_datagram_socket", "inet_other_stream_protocols")
    names += ("raw_sockets", "exotic_sockets", "reach_host_port", "see_host_interfaces")
    seen = rig(tier, *PYTHON, *ATTACK, attacks=names, inet=True)
    answers = json.loads(seen["stdout"].splitlines()[-1])
    assert answers.pop("inet_stream_socket") is False
    if tier == 1:
        assert answers.pop("reach_host_port") is (kernel.landlock_abi() >= 4)
    assert set(answers.values()) == {True}, answers


# Each control is taken away once: its rows must fall, or the rows above prove nothing.


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="tier 3 needs root")
def test_without_the_filter_its_rows_fall_and_the_other_layers_stand(rig, tier_works, attack_names):
    tier_works(3)
    seen = rig(3, *PYTHON, *ATTACK, attacks=attack_names, filtered=False)
    answers = json.loads(seen["stdout"].splitlines()[-1])
    fallen = {name for name, held in answers.items() if held is False}
    assert {"inet_stream_socket", "exec_from_memory", "use_keyrings", "trace_a_child"} <= fallen
    others = {
        name for name in attack_names if name.startswith(("read_", "write_", "reach_", "kill_"))
    }
    assert not fallen & (others - {"read_memory_of_a_child"})
    assert not fallen & {
        "mount_something",
        "become_root",
        "run_suid_program",
        "fork_bomb",
        "reboot",
    }


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="tier 3 needs root")
def test_with_more_room_the_same_bombs_come_through(rig, tier_works):
    tier_works(3)
    names = ("fork_bomb", "thread_bomb", "fill_tmp", "fill_inodes", "descriptor_bomb")
    usual = {"pids": 64, "tmp_bytes": 4 * 2**20, "tmp_inodes": 1024, "nofile": 256}
    roomy = {"memory": 2**30, "pids": 900, "tmp": 64 * 2**20, "tmp_inodes": 4096, "nofile": 2048}
    seen = rig(3, *PYTHON, *ATTACK, attacks=names, judge=usual, **roomy)
    assert json.loads(seen["stdout"].splitlines()[-1]) == dict.fromkeys(names, False)
