"""The base made of Debian's packages: the same twice, bare, and it runs the runner."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ntp.oci import base_image, image
from ntp.oci.layout import Layout
from ntp.oci.referrer import attached
from tests.worlds.environment import absent

ROOT = Path(__file__).parents[3]
BASE = ROOT / "plugin-images" / "base"


def _make(folder):
    run = subprocess.run(
        [sys.executable, BASE / "from_debian.py", "-o", folder, "--json"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if "apt does not know" in run.stderr or "cannot be fetched" in run.stderr:
        absent("network", f"apt has no packages for this Python: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        absent("programs", "no apt here: the base of Debian's packages is made on Debian")
    folder = tmp_path_factory.mktemp("base")
    return folder, _make(folder)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_is_the_same_in_another_folder_and_not_made_again_where_nothing_changed(made, tmp_path):
    folder, said = made
    before = os.umask(0o077)
    try:
        other = _make(tmp_path / "other")
    finally:
        os.umask(before)
    assert other["digest"] == said["digest"]
    again = _make(folder)
    assert (again["digest"], again["built"]) == (said["digest"], False)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_has_python_and_no_shell_and_runs_the_runner(made, tmp_path):
    folder, said = made
    layout = Layout.open(folder)
    found = image.choose(layout, "ntp-base", architecture=_architecture())
    image.check(layout, found)
    facts = base_image.facts(found, str(folder))
    assert facts.distributions["ntp-sdk"]
    assert said["size"] < 60 * 1024**2
    (about,) = attached(layout, found, layout.index())
    purls = [each["purl"] for each in json.loads(layout.read(about.document))["components"]]
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in purls)
    root = tmp_path / "root"
    for layer in found.layers:
        with tarfile.open(fileobj=io.BytesIO(b"".join(layout.chunks(layer)))) as tar:
            tar.extractall(root)  # noqa: S202 - ours, made a moment ago
    for name in (
        "usr/bin/sh",
        "usr/bin/bash",
        "usr/bin/pip",
        "usr/bin/apt",
        "usr/bin/perl",
        "usr/bin/dpkg",
    ):
        assert not (root / name).exists()
    compiled = list(root.glob("usr/lib/python3*/__pycache__/asyncio*")) + list(
        root.glob("opt/ntp/runtime/numpy/__pycache__/__init__.*.pyc")
    )
    assert compiled
    assert compiled[0].read_bytes()[4:8] == (0b01).to_bytes(4, "little")  # by hash, never compared
    if shutil.which("bwrap") is None:
        absent("programs", "bubblewrap is not here to look at the image from inside")
    settings = found.config["config"]
    inside = [
        "bwrap",
        "--unshare-all",
        "--ro-bind",
        root,
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--clearenv",
    ]
    for pair in settings["Env"]:
        name, _, text = pair.partition("=")
        inside += ["--setenv", name, text]
    program = (
        "import asyncio, bz2, ctypes, lzma, sqlite3, ssl, uuid, zoneinfo\n"
        "import msgspec, nats, nkeys, numpy, websockets, ntp.runner.life\n"
        "zoneinfo.ZoneInfo('America/New_York')\n"
        "assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 100\n"
        "print('all there')\n"
    )
    python = settings["Entrypoint"][0]
    run = subprocess.run([*inside, python, "-S", "-s", "-P", "-B", "-c", program], capture_output=True, text=True, timeout=60)  # fmt: skip
    assert run.stdout == "all there\n", run.stderr
    run = subprocess.run(
        [*inside, *settings["Entrypoint"]], capture_output=True, text=True, timeout=60
    )
    assert '"reason":"LaunchUnreadable"' in run.stderr + run.stdout


def _architecture():
    from ntp.oci.source import architecture

    return architecture()


def test_both_ways_to_a_base_say_the_same_of_it():
    text = (BASE / "facts.py").read_text()
    assert f'"form": "{base_image.FORM}"' in text
    said = base_image.settings("python3", {})
    dockerfile = (BASE / "Dockerfile").read_text()
    for pair in said["Env"]:
        assert pair in dockerfile
    assert json.dumps(said["Entrypoint"]) in dockerfile
    assert f"USER {said['User']}" in dockerfile
    assert re.search(r"^ARG PYTHON=python:3\.\d+-slim$", dockerfile, re.MULTILINE)
