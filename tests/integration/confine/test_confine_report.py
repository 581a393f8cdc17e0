"""What is said to surround a plugin is what does, as seen from outside; and nothing more."""

import json
import os
import sys

import pytest

from ntp.confine import sandbox
from ntp.confine.probe import probe

# Not by way of a virtual environment, which may lie in /tmp: tier 1 has a /tmp of its own.
PYTHON = (os.path.realpath(sys.executable), "-I", "-S", "-c")
STAY = "import time; print('ready', flush=True); time.sleep(60)"


def look(rig, tier, **options):
    seen = rig(tier, *PYTHON, STAY, steps=("see:ready", "verify", "kill"), **options)
    return seen["isolation"]


@pytest.mark.parametrize("tier", [3, 2, 1, 0])
def test_the_tier_is_recognised_from_outside(rig, tier_works, tier):
    if tier:
        tier_works(tier)
    found = look(rig, tier)
    assert found["tier"] == tier
    assert "no new privileges" in found["active"]


@pytest.mark.parametrize("tier", [3, 2, 1])
def test_it_can_be_asked_before_the_launchers_have_handed_over(rig, tier_works, tier):
    tier_works(tier)
    seen = rig(tier, *PYTHON, STAY, steps=("verify", "kill"))
    assert seen["isolation"]["tier"] == tier


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="tier 3 needs root")
def test_in_tier_3_nothing_is_missing(rig, tier_works):
    tier_works(3)
    found = look(rig, 3, memory=64 * 2**20, cpu=0.5, pids=9)
    assert found["missing"] == []
    assert {"memory 64 MiB", "0.5 CPU cores", "9 processes and threads"} <= set(found["active"])


@pytest.mark.parametrize("tier", [3, 2])
def test_a_missing_filter_is_told(rig, tier_works, tier):
    tier_works(tier)
    found = look(rig, tier, filtered=False)
    assert any(text.startswith("system call filter: install") for text in found["missing"])
    assert "system call filter" not in found["active"]


def test_a_plugin_that_has_ended_has_no_isolation(rig, tier_works):
    tier_works(2)
    seen = rig(2, *PYTHON, "print('ready')", steps=("see:ready", "gone", "verify"))
    assert seen["isolation"] is None, "not tier 0: nobody knows what surrounded it"


def test_the_probe_finds_what_a_cheap_look_promises_or_says_why_not():
    found = probe()
    assert found.tier == sandbox.best_tier() or found.missing
    assert json.dumps(found.active)
    if found.tier == 3:
        assert set(found.limits) == {"memory", "cpu", "pids"} or found.missing
