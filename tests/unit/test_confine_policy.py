import dataclasses
import json

import pytest

from ntp.confine.policy import MIB, Bind, ConfineError, Policy

POLICY = Policy(
    name="demo.alpha",
    memory=256 * MIB,
    cpu=0.5,
    pids=64,
    tmp=16 * MIB,
    uid=20_001,
    gid=20_001,
    binds=(Bind("/srv/storage", "/storage", writable=True), Bind("/srv/code", "/plugin")),
    inet=True,
    seccomp="/var/cache/filter.bpf",
)


def test_a_policy_survives_the_way_through_json():
    assert Policy.from_json(POLICY.to_json()) == POLICY


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "../escape"}, "sandbox name was"),
        ({"name": "-x"}, "sandbox name was"),
        ({"name": ""}, "sandbox name was"),
        ({"uid": 0}, "ordinary uid"),
        ({"gid": 0}, "ordinary uid"),
        ({"memory": 1000}, "at least 1 MiB"),
        ({"cpu": 0}, "a part of a core"),
        ({"pids": 0}, "1 process"),
        ({"binds": (Bind("relative", "/x"),)}, "absolute path"),
        ({"binds": (Bind("/a/../etc", "/x"),)}, "without '..'"),
        ({"binds": (Bind("/a", "/x/.."),)}, "without '..'"),
        ({"binds": (Bind("/a\0b", "/x"),)}, "absolute path"),
    ],
)
def test_what_would_weaken_a_sandbox_is_refused(change, words):
    with pytest.raises(ConfineError, match=words):
        dataclasses.replace(POLICY, **change)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"name": "x"}',
        json.dumps({**json.loads(POLICY.to_json()), "root": 1}),
    ],
)
def test_a_file_that_is_no_policy_is_refused_in_one_line(text):
    with pytest.raises(ConfineError) as caught:
        Policy.from_json(text)
    assert "\n" not in str(caught.value)
