"""Both distributions as wheels, in empty environments and as uv's tools, without a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.worlds.page import Session, blocks, section
from tests.worlds.users import plain

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()

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
    run(*pip, "--constraint", constraints(folder), *what)
    return python


def constraints(folder: Path) -> Path:
    """The locked versions, in a file for pip and for uv."""
    file = folder / "constraints.txt"
    locked = [
        line.split(" ")[0] for line in (ROOT / "requirements/dev.txt").read_text().splitlines()
    ]
    file.write_text("\n".join(line for line in locked if "==" in line and "numpy" not in line))
    return file


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
        # A template's tests are what `ntp plugin create` gives an author.
        ours = [name for name in inside if not name.startswith("ntp/templates/")]
        odd = [name for name in ours if "/tests/" in name]
        odd += [name for name in inside if "__pycache__" in name]
        assert odd == [], wheel.name


def test_the_sdk_brings_its_templates_hidden_files_too(wheels):
    inside = set(zipfile.ZipFile(next(wheels.glob("ntp_sdk-*.whl"))).namelist())
    folder = ROOT / "plugin-images" / "sdk"
    templates = (folder / "ntp" / "templates").rglob("*")
    files = {
        f.relative_to(folder).as_posix() for f in templates if f.is_file() and f.suffix != ".pyc"
    }
    assert any("/." in file for file in files)
    assert files <= inside


@pytest.fixture(scope="module")
def commands(wheels, tmp_path_factory) -> dict[str, str]:
    """The environment of somebody who installed the commands as docs/tutorial.md says."""
    place = tmp_path_factory.mktemp("installed")
    bin_ = place / "bin"
    environment = plain()
    environment |= {
        "PATH": f"{bin_}:{Path(sys.executable).parent}:{environment['PATH']}",
        "UV_TOOL_DIR": str(place / "tools"),
        "UV_TOOL_BIN_DIR": str(bin_),
        "UV_PYTHON": sys.executable,
        "UV_CONSTRAINT": str(constraints(place)),
        "NTP_STATE": str(place / "state"),
        "NTP_CACHE": str(place / "cache"),
    }
    if index := environment.get("PIP_INDEX_URL"):
        environment.setdefault("UV_DEFAULT_INDEX", index)  # uv does not read what pip reads
    (place / "dist").symlink_to(wheels)
    build, *install = blocks(section(TUTORIAL, "Install"), "sh")[0].text.splitlines()
    assert build == "make dist"
    run("bash", "-ec", "\n".join(install), cwd=place, env=environment)
    assert {each.name for each in bin_.iterdir()} == {"ntp", "ntpctl"}
    return environment


@pytest.mark.long
def test_uv_installs_both_commands_with_all_that_they_need(commands, tmp_path):
    schema = run("ntpctl", "schema", "plugins", cwd=tmp_path, env=commands)
    assert schema == (ROOT / "schemas" / "plugins.schema.json").read_text()

    (tmp_path / "plugins.yaml").write_bytes((ROOT / "config" / "plugins.yaml").read_bytes())
    run("ntpctl", "validate", cwd=tmp_path, env=commands)
    assert "stall" in run("ntp", "exchange", "--list-faults", cwd=tmp_path, env=commands)

    run("ntp", "plugin", "create", "mine", "--template", "csv", cwd=tmp_path, env=commands)
    assert "0 errors" in run("ntp", "plugin", "validate", "mine", cwd=tmp_path, env=commands)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="the demo's limits by cgroup need root here")
def test_the_tutorial_is_followed_from_the_wheels_with_its_demo(commands, tmp_path):
    session = Session(tmp_path, commands)
    try:
        assert session.follow(TUTORIAL) > 24
    finally:
        run("ntpctl", "down", "--delete-data", "--yes", cwd=session.folder, env=commands)
