import pytest

from ntp.confine import probe


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("bwrap is not installed: install it (apt-get install bubblewrap)", "not installed"),
        ("bwrap: Unknown option --perms", "too old: install 0.6"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "docker run"),
        ("bwrap: something\nelse", "tier 2: bwrap: something"),
        ("", "no reason given"),
    ],
)
def test_a_launchers_complaint_becomes_what_to_do(error, words):
    assert words in probe.explain(2, error)


def test_three_missing_limits_of_one_cause_are_one_line():
    missing = [f"{name} limit: /x cannot be made: Permission denied" for name in ("memory", "cpu")]
    joined = probe._limits_fix([*missing, "another thing"], root=False)
    assert len(joined) == 2
    assert joined[0].startswith("memory, cpu of the whole plugin are not limited: run as root")
    assert joined[1] == "another thing"


def test_the_numbers_of_the_trial_are_not_shown():
    active = ["a user id of its own (59999)", "memory 128 MiB", "1 CPU cores", "a host name"]
    assert probe._general(active, ("memory",)) == (
        "a user id of its own",
        "a host name",
        "memory limit",
    )
