"""A sandbox beside planted victims, as a call: `rig(tier, argv, …)` returns what was seen."""

import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ntp.confine import kernel, seccomp

HERE = Path(__file__).parent
Rig = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def filters() -> Iterator[dict[bool, str]]:
    """Compiled system call filters by `inet`, where an ordinary user can read them."""
    with tempfile.TemporaryDirectory(prefix="ntp-filters-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield {inet: str(seccomp.export(folder, inet=inet)) for inet in (False, True)}


@pytest.fixture(scope="session")
def rig(filters: dict[bool, str]) -> Rig:
    """Run a program in a tier. Tier 3 needs root; below it root becomes an ordinary user first."""

    def run(
        tier: int,
        /,
        *argv: str,
        steps: tuple[str, ...] = (),
        attacks: tuple[str, ...] = (),
        inet: bool = False,
        filtered: bool = True,
        mark: str = "",
        judge: dict[str, Any] | None = None,
        **policy: Any,
    ) -> dict[str, Any]:
        order = {
            "tier": tier,
            "ordinary": tier < 3,
            "seccomp": filters[inet] if filtered else None,
            "argv": argv,
            "run": attacks,
            "steps": steps,
            "judge": judge or {},
            "gone_s": 30.0 if tier > 1 else 0.2,
            "mark": mark or f"mark-{uuid.uuid4()}",
            "policy": {"inet": inet, **policy},
        }
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(HERE / "rig.py")],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        if not done.stdout:
            return {"rig_ended": done.returncode, "stderr": done.stderr}
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen

    return run


@pytest.fixture(scope="session")
def tier_works(rig: Rig) -> Callable[[int], None]:
    """Skip what this machine cannot do; fail where it can and ours does not."""

    @functools.cache
    def verdict(tier: int) -> tuple[str, str]:
        if tier == 3 and os.geteuid() != 0:
            return "skip", "tier 3 needs root"
        if tier == 1 and HERE.is_relative_to("/tmp"):
            return "skip", "the checkout lies below /tmp, and tier 1 has a /tmp of its own"
        seen = rig(tier, "/bin/true")
        if seen.get("outcome") == [0, None]:
            return "go", ""
        reason = str(seen.get("refused") or seen["stderr"])
        return ("fail" if machine_can(tier) else "skip"), f"tier {tier}: {reason}"

    def check(tier: int) -> None:
        word, reason = verdict(tier)
        if word == "skip":
            pytest.skip(reason)
        if word == "fail":
            pytest.fail(reason)

    return check


def machine_can(tier: int) -> bool:
    """Ask the machine without our code in between, so that a broken sandbox is never just skipped."""
    if tier == 1:
        return kernel.landlock_abi() > 0
    bwrap = ["bwrap", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "/bin/true"]
    if tier == 2:
        bwrap[1:1] = ["--unshare-user"]
        if os.geteuid() == 0:
            bwrap[:0] = ["setpriv", "--reuid=61234", "--regid=61234", "--clear-groups"]
    try:
        return subprocess.run(bwrap, capture_output=True, timeout=20, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="session")
def limited(rig: Rig) -> int:
    """The strongest tier that has all limits of a control group here: as root, or delegated."""
    for tier in (3, 2):
        if tier == 2 or os.geteuid() == 0:
            seen = rig(tier, "/bin/true")
            if set(seen.get("limits", ())) == {"memory", "cpu", "pids"}:
                return tier
    pytest.skip("needs root, or a control group delegated to this user")


@pytest.fixture(scope="session")
def attack_names() -> tuple[str, ...]:
    return names()


@functools.cache
def names() -> tuple[str, ...]:
    spec = importlib.util.spec_from_file_location("confine_attacks", HERE / "attacks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(module.ATTACKS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "attack" in metafunc.fixturenames:
        metafunc.parametrize("attack", names())
