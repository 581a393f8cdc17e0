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
            "gone_s": 5.0 if tier > 1 else 0.2,
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
    """Skip, with the reason, what this machine cannot do."""

    @functools.cache
    def why_not(tier: int) -> str:
        if tier == 3 and os.geteuid() != 0:
            return "tier 3 needs root"
        if tier == 1 and not kernel.landlock_abi():
            return "this kernel has no Landlock"
        seen = rig(tier, "/bin/true")
        return (
            "" if seen.get("outcome") == [0, None] else str(seen.get("refused") or seen["stderr"])
        )

    def check(tier: int) -> None:
        if reason := why_not(tier):
            pytest.skip(f"tier {tier}: {reason}")

    return check


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
