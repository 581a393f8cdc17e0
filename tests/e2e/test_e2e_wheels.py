"""Both distributions as wheels, in empty environments, without a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


def run(*command, timeout=240, **options):
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        **options,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT / "plugin-images" / "sdk", ROOT):
        run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", folder, source)
    return folder


def environment(folder: Path, *what: str) -> Path:
    """An empty virtual environment with `what` and the locked versions of what they need."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    constraints = folder / "constraints.txt"
    locked = [
        line.split(" ")[0] for line in (ROOT / "requirements/dev.txt").read_text().splitlines()
    ]
    constraints.write_text(
        "\n".join(line for line in locked if "==" in line and "numpy" not in line)
    )
    run(*pip, "--constraint", constraints, *what)
    return python


def names(python: Path) -> set[str]:
    listed = run(
        python,
        "-c",
        "from importlib.metadata import distributions\n"
        "print(*{dist.metadata['Name'].lower() for dist in distributions()})",
    )
    return set(listed.split())


def test_the_sdk_alone_brings_no_engine_client_and_no_command_line(wheels, tmp_path):
    python = environment(tmp_path / "sdk", str(next(wheels.glob("ntp_sdk-*.whl"))))

    installed = names(python)
    assert "ntp-sdk" in installed
    assert not installed & {"docker", "kubernetes", "click", "pydantic", "ntp-orchestrator"}
    run(python, "-c", "import ntp; ntp.StrategyPlugin, ntp.MarketData")


def test_a_wheel_holds_no_tests_and_no_leftovers(wheels):
    for wheel in wheels.glob("*.whl"):
        inside = zipfile.ZipFile(wheel).namelist()
        odd = [name for name in inside if "/tests/" in name or "__pycache__" in name]
        assert odd == [], wheel.name


@pytest.mark.skipif(os.geteuid() != 0, reason="the demo's limits by cgroup need root here")
def test_the_demo_runs_from_the_wheels_without_a_checkout(wheels, tmp_path):
    python = environment(tmp_path / "both", *map(str, wheels.glob("*.whl")))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NTP_")}

    told = run(
        python.parent / "ntpctl",
        "demo",
        "--output",
        "json",
        cwd=tmp_path,
        env={**clean, "NTP_CACHE": str(tmp_path / "cache")},
    )
    assert '"failures": []' in told
