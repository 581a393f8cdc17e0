"""`ntp plugin package`: the same plugin is the same image, and what cannot be packed says why."""

import contextlib
import gzip
import io
import json
import marshal
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ntp.cli import main
from ntp.oci import archive, image, source
from ntp.oci.base_image import OCI
from ntp.oci.descriptor import digest_of
from ntp.oci.layout import Layout
from ntp.oci.plugin_image import MANIFEST, MANIFEST_DIGEST, SCHEMA
from ntp.oci.referrer import attached
from ntp.package.wheels import Pip
from orchestrator.catalog.image_store import ImageStore
from orchestrator.catalog.images import Images
from tests.worlds import base_image
from tests.worlds.environment import absent
from tests.worlds.shelf import Shelf

MANIFEST_TEXT = """\
name: mine
version: 1.2.0
author: me
description: Buys.
kind: strategy
entrypoint: mine:Mine
requirements: [shelved>=1]
config_schema: {period: int}
"""
PLAIN_TEXT = MANIFEST_TEXT.replace("requirements: [shelved>=1]\n", "")
CODE = """\
from ntp import StrategyPlugin


class Mine(StrategyPlugin):
    def analyze(self, data, history):
        return {"a", "b", "c"} and None
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    found = Shelf(tmp_path_factory.mktemp("shelf") / "wheels")
    found.wheel(
        "shelved", "1.0", {"shelved/__init__.py": "x = 1\n", "shelved/data.txt": "d"}, ["needed"]
    )
    found.wheel("needed", "2.0", {"needed.py": "def f(a=1, *, b=2): return {'k', 'l', a, b}\n"})
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "layout"
    base_image.make(folder)
    return folder


@pytest.fixture
def plugin(tmp_path):
    return _plugin(tmp_path / "mine")


@pytest.fixture
def plain(tmp_path):
    """Needs no wheels, so that no pip runs."""
    return _plugin(tmp_path / "mine", PLAIN_TEXT)


def _plugin(folder, text=MANIFEST_TEXT):
    folder.mkdir(parents=True)
    (folder / "plugin.yaml").write_text(text)
    (folder / "mine.py").write_text(CODE)
    return folder


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch, tmp_path):
    """Which base was named last is remembered there."""
    monkeypatch.setenv("NTP_CONFIG", str(tmp_path / "configuration"))


def _package(*arguments, shelf, code=0, **environment):
    """Run the command in this process: it is what a person types, without Python's start."""
    run = CliRunner().invoke(
        main,
        ["plugin", "package", *map(str, arguments)],
        env={**shelf.pip.environ, **environment},
        catch_exceptions=False,
    )
    assert run.exit_code == code, run.output
    return run


def _package_elsewhere(*arguments, shelf, umask, **environment):
    """Run it in a process of its own."""
    before = os.umask(umask)
    try:
        run = subprocess.run(
            [sys.executable, "-m", "ntp.cli", "plugin", "package", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=110,
            env={**shelf.pip.environ, "LANG": "C.UTF-8", **environment},
        )
    finally:
        os.umask(before)
    assert run.returncode == 0, run.stdout + run.stderr
    return run


def _pips(pair):
    """Processes of pip that were started with this in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            arguments = (path.parent / "cmdline").read_bytes().split(b"\0")
            if b"install" in arguments and pair.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


def _read(file, folder):
    layout = Layout.create(folder)
    index = archive.take(file, layout)
    found = image.choose_from(layout, index, None, architecture="amd64", shown=str(file))
    image.check(layout, found)
    return layout, found, index


def test_two_folders_two_times_two_umasks_one_archive(tmp_path, base, shelf):
    made = []
    for number, (umask, zone, seed) in enumerate([(0o022, "UTC", "1"), (0o077, "Asia/Tokyo", "2")]):
        folder = _plugin(tmp_path / f"place {number}" / "mine")
        # Other times, other rights, written in another order.
        for path in sorted(folder.iterdir(), reverse=bool(number)):
            os.utime(path, (number * 10**9, number * 10**9))
            path.chmod(0o700 if number else 0o644)
        out = tmp_path / f"{number}.tar"
        run = _package_elsewhere(
            folder, "--base", base, "-o", out, "--output", "json",
            shelf=shelf, umask=umask, TZ=zone, PYTHONHASHSEED=seed, TMPDIR=str(tmp_path),
        )  # fmt: skip
        made.append(
            (json.loads(run.stdout), out.read_bytes(), (folder / "requirements.lock").read_text())
        )
        time.sleep(1.1 - time.time() % 1)  # a clock of whole seconds has moved on
    (first, one, lock_1), (second, two, lock_2) = made
    assert first["digest"] == second["digest"]
    assert one == two
    assert lock_1 == lock_2
    assert len(first["layers"]) == 2
    assert [each["name"] for each in first["requirements"]] == ["needed", "shelved"]


def test_the_image_has_base_wheels_and_code_compiled_and_says_what_it_is(
    tmp_path, plugin, base, shelf
):
    _package(plugin, "--base", base, "-o", tmp_path / "x.tar", shelf=shelf)
    layout, found, index = _read(tmp_path / "x.tar", tmp_path / "layout")
    below = image.choose(Layout.open(base), None, architecture="amd64")
    assert found.layers[:3] == below.layers
    assert found.diff_ids[:3] == below.diff_ids
    names = {}
    for each, diff_id in zip(found.layers[3:], found.diff_ids[3:], strict=True):
        content = gzip.decompress(b"".join(layout.chunks(each)))
        assert digest_of(content) == diff_id
        for place in (sys.prefix, "ntp-wheels-", "ntp-code-", str(tmp_path)):
            assert place.encode() not in content
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                if member.isfile():
                    names[member.name] = tar.extractfile(member).read()
    cached = f"__pycache__/{{}}.cpython-3{sys.version_info.minor}.pyc"
    assert "opt/ntp/wheels/shelved/data.txt" in names
    assert f"opt/ntp/wheels/{cached.format('needed')}" in names
    assert f"plugin/{cached.format('mine')}" in names
    assert "plugin/plugin.yaml" in names
    # What a traceback names is where the file is in the image.
    for folder, module in (("plugin", "mine"), ("opt/ntp/wheels", "needed")):
        code = marshal.loads(names[f"{folder}/{cached.format(module)}"][16:])  # noqa: S302 - our own
        assert code.co_filename == f"/{folder}/{module}.py"
    assert not [name for name in names if "RECORD" in name or "INSTALLER" in name]

    settings = found.config["config"]
    assert settings["User"] == "65532:65532"
    assert settings["Entrypoint"][1:] == ["-S", "-s", "-P", "-B", "-m", "ntp.runner"]
    assert set(settings) == {"User", "WorkingDir", "Env", "Entrypoint", "StopSignal", "Labels"}
    labels = found.labels
    assert labels[f"{OCI}version"] == "1.2.0"
    assert labels[f"{OCI}base.digest"] == below.digest
    assert json.loads(labels[MANIFEST])["entrypoint"] == "mine:Mine"
    assert digest_of(labels[MANIFEST].encode()) == labels[MANIFEST_DIGEST]
    assert json.loads(labels[SCHEMA])["properties"]["period"]["type"] == "integer"

    about = {each.document.media_type: json.loads(layout.read(each.document)) for each in attached(layout, found, index)}  # fmt: skip
    bom = about["application/vnd.cyclonedx+json"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is None
    purls = [each["purl"] for each in bom["components"]]
    assert purls == ["pkg:deb/debian/libc6@2.36", "pkg:pypi/needed@2.0", "pkg:pypi/shelved@1.0"]
    statement = about["application/vnd.in-toto+json"]
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert f"sha256:{statement['subject'][0]['digest']['sha256']}" == found.digest
    inputs = {
        each["uri"] for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    assert {"pkg:pypi/needed@2.0", "ntp-tree:mine"} <= inputs


def test_a_change_of_code_manifest_or_base_is_another_image(tmp_path, plain, base, shelf):
    def digest(where=base, **environment):
        run = _package(plain, "--base", where, "-o", tmp_path / "x.tar", "--output", "json", shelf=shelf, **environment)  # fmt: skip
        return json.loads(run.stdout)["digest"]

    seen = [digest()]
    (plain / "mine.py").write_text(CODE + "\nx = 1\n")
    seen.append(digest())
    text = PLAIN_TEXT.replace("Buys.", "Sells.")
    (plain / "plugin.yaml").write_text(text)
    seen.append(digest())
    other = tmp_path / "other"
    base_image.make(other, more="other")
    seen.append(digest(other))
    seen.append(digest(SOURCE_DATE_EPOCH="1700000000"))
    assert len(set(seen)) == 5


def test_a_lone_file_and_a_layout(tmp_path, base, shelf):
    file = tmp_path / "lone.py"
    file.write_text(
        "from ntp import PluginMetadata, StrategyPlugin\n\n\n"
        "class Lone(StrategyPlugin):\n"
        "    def get_metadata(self):\n"
        "        return PluginMetadata('Lone', '1.0', 'me', 'Waits.', [], {'period': 'int'})\n\n"
        "    def analyze(self, data, history):\n        return None\n"
    )
    out = tmp_path / "image"
    for _ in range(2):
        _package(file, "--base", base, "--format", "oci-layout", "-o", out, shelf=shelf)
    layout = Layout.open(out)
    found = image.choose(layout, "1.0.0", architecture="amd64")
    image.check(layout, found)
    assert json.loads(found.labels[MANIFEST])["entrypoint"] == "lone:Lone"
    assert len(attached(layout, found, layout.index())) == 2
    # The layout is a base for the next one to read, by name.
    into = Layout.create(tmp_path / "again")
    assert source.fetch(f"{out}#1.0.0", into, environment={}).image.digest == found.digest


def test_gits_revision_is_a_label_where_nothing_differs_from_it(tmp_path, plain, base, shelf):
    _package(plain, "--base", base, "-o", tmp_path / "x.tar", shelf=shelf)

    def git(*arguments):
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
        run = subprocess.run(["git", "-C", plain, *identity, *arguments], check=True, capture_output=True, text=True)  # fmt: skip
        return run.stdout.strip()

    def revision():
        run = _package(plain, "--base", base, "-o", tmp_path / "x.tar", "--output", "json", shelf=shelf)  # fmt: skip
        return json.loads(run.stdout)["revision"]

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "Begin")
    assert revision() == git("rev-parse", "HEAD")
    (plain / "mine.py").write_text(CODE + "\n\n")
    assert revision() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plugin.yaml": "name: mine\nverson: 1.0.0\nkind: stratgy\nentrypoint: mine:Mine\n"},
         ["plugin.yaml:2:1: unknown field 'verson'", "fix: did you mean 'version'?", "plugin.yaml:3:1: 'kind' was 'stratgy'", "3 problems; nothing was written"]),
        ({"plugin.yaml": MANIFEST_TEXT + "name: other\n"}, ["plugin.yaml:9:1: 'name' stands here and in line 1"]),
        ({"plugin.yaml": "name: [\n"}, ["plugin.yaml:2:1: this is no YAML"]),
        ({"plugin.yaml": "[" * 50_000}, ["it cannot be read"]),
        ({"mine.py": "def f(:\n"}, ["mine.py:1:7: it is not Python"]),
        ({"mine.py": None}, ["plugin.yaml:6:1: the entrypoint's module 'mine' is not in the folder"]),
        ({"plugin.yaml": None}, ["the folder has no plugin.yaml"]),
        ({"requirements.lock": "nonsense\n"}, ["requirements.lock cannot be used: line 1", "fix: delete it"]),
    ],
)  # fmt: skip
def test_a_bad_plugin_is_told_with_its_place_and_a_fix(  # noqa: PLR0917 - fixtures
    tmp_path, plugin, base, shelf, change, words
):
    for name, text in change.items():
        (plugin / name).unlink(missing_ok=True)
        if text is not None:
            (plugin / name).write_text(text)
    run = _package(plugin, "--base", base, "-o", tmp_path / "x.tar", shelf=shelf, code=5 if "requirements.lock" in change else 2)  # fmt: skip
    for each in words:
        assert each in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert not (tmp_path / "x.tar").exists()


def test_what_it_is_built_on_is_said_where_nobody_named_it(tmp_path, plain, base, shelf):
    cache = tmp_path / "cache"

    def packed(*arguments):
        run = _package(plain, "-o", tmp_path / "x.tar", "--output", "json", *arguments, shelf=shelf, NTP_CACHE=str(cache))  # fmt: skip
        return json.loads(run.stdout), run.stderr

    first, told = packed()
    assert "packed without a Linux, and runs without Docker only" in told
    assert "fix" not in told
    assert first["base"]["name"] == "none"
    layout = Layout.create(tmp_path / "layout")
    (entry, *_) = archive.take(tmp_path / "x.tar", layout)
    made = image.read(layout, entry)
    assert len(made.layers) == 1
    assert made.labels["ntp-image.system"] == "none"
    # Nobody named it, so it is not remembered: what ntpctl builds on is better.
    kept = Images(ImageStore(cache), Pip({}), {}).base(str(base))
    second, told = packed()
    assert f"on the base that ntpctl builds on: {base}" in told
    assert second["base"]["digest"] == kept.image.digest
    assert packed("--base", "none")[0]["digest"] == first["digest"]
    third, told = packed()
    assert "on the base that was named last: none" in told
    assert third["digest"] == first["digest"]
    (tmp_path / "cache" / "images" / "index.json").write_text("{")
    assert packed("--base", base)[0]["digest"] == second["digest"]
    assert f"on the base that was named last: {base}" in packed()[1]


def test_a_store_that_cannot_be_read_is_none(tmp_path, plain, shelf):
    images = tmp_path / "cache" / "images"
    images.mkdir(parents=True)
    (images / "index.json").write_text("{")
    run = _package(plain, "-o", tmp_path / "x.tar", shelf=shelf, NTP_CACHE=str(images.parent))
    assert "packed without a Linux" in run.stderr


def test_what_else_can_be_wrong_is_told(tmp_path, plain, base, shelf):
    def said(*arguments, code, **environment):
        run = _package(*arguments, shelf=shelf, code=code, **environment)
        assert "Traceback" not in run.stderr
        return run.stderr

    x = tmp_path / "x.tar"
    assert "nowhere was not found" in said(tmp_path / "nowhere", "--base", base, code=2)
    assert "no OCI layout" in said(plain, "--base", tmp_path, "-o", x, code=5)
    assert "names no registry" in said(plain, "--base", "python:3.11", "-o", x, code=5)
    assert "does not answer" in said(plain, "--base", "127.0.0.1:9/x:1", "-o", x, code=3)
    base_image.make(tmp_path / "old", tag="cpython-39-x86_64-linux-gnu")
    assert "has Python cpython-39" in said(plain, "--base", tmp_path / "old", "-o", x, code=5)
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    assert "no OCI archive" in said(plain, "--base", base, "-o", notes, code=5)
    assert notes.read_text() == "mine"
    assert "does not exist" in said(plain, "--base", base, "-o", tmp_path / "no" / "x.tar", code=5)
    assert "SOURCE_DATE_EPOCH" in said(
        plain, "--base", base, "-o", x, code=2, SOURCE_DATE_EPOCH="now"
    )
    (plain / "plugin.yaml").write_text(MANIFEST_TEXT.replace("shelved", "absent"))
    assert "No matching distribution" in said(plain, "--base", base, "-o", x, code=5)
    assert not x.exists()


def test_a_wheel_that_is_not_the_locked_one_is_refused(tmp_path, plugin, base):
    shelf = Shelf(tmp_path / "wheels")
    shelf.wheel("needed", "2.0", {"needed.py": "\n"})
    shelf.wheel("shelved", "1.0", {"shelved.py": "\n"}, ["needed"])
    _package(plugin, "--base", base, "-o", tmp_path / "x.tar", shelf=shelf)
    shelf.wheel("shelved", "1.0", {"shelved.py": "evil = 1\n"}, ["needed"])
    run = _package(plugin, "--base", base, "-o", tmp_path / "y.tar", shelf=shelf, code=5)
    assert "DO NOT MATCH THE HASHES" in run.stderr
    assert not (tmp_path / "y.tar").exists()


def test_a_tag_of_a_registry_is_refused_with_the_digest_that_it_means_now(
    tmp_path, plain, base, shelf
):
    from tests.worlds.registry import registry

    layout = Layout.open(base)
    found = image.choose(layout, None, architecture="amd64")
    with registry(tmp_path / "registry") as host:
        from ntp.oci import reference
        from ntp.oci.registry import Registry

        there = Registry(host)
        there.push(layout, found, reference.parse(f"{host}/ntp/base:1"), attachments=attached(layout, found, layout.index()))  # fmt: skip
        there.close()
        run = _package(plain, "--base", f"{host}/ntp/base:1", "-o", tmp_path / "x.tar", shelf=shelf, code=5)  # fmt: skip
        named = run.stderr.rpartition("write ")[2].strip()
        assert named == f"{host}/ntp/base:1@{found.digest}"
        _package(plain, "--base", named, "-o", tmp_path / "x.tar", shelf=shelf)
    _package(plain, "--base", base, "-o", tmp_path / "y.tar", shelf=shelf)
    assert (tmp_path / "x.tar").read_bytes() == (tmp_path / "y.tar").read_bytes()


def test_it_is_pushed_and_the_file_says_its_digest(tmp_path, plain, base, shelf):
    from tests.worlds.registry import registry

    file = tmp_path / "plugins.yaml"
    file.write_text("plugins:\n  strategies:\n  - name: mine  # ours\n    source: mine\n")
    before = file.read_text()
    asked = (plain, "--base", base, "--pin", "-f", file)
    with registry(tmp_path / "registry") as host:
        run = _package(*asked, "--push", f"{host}/desk", "--output", "json", shelf=shelf)
        told = json.loads(run.stdout)
        assert told["pushed"] == f"{host}/desk/mine:1.2.0@{told['digest']}"
        assert (told["file"], told["pinned"]) == (None, ["mine"])
        assert file.read_text() == before.replace("source: mine", f"image: {told['pushed']}")
        _package(*asked, "--push", f"{host}/desk", shelf=shelf)  # again: the same
    assert told["pushed"] in file.read_text()
    assert not list(tmp_path.glob("*.tar"))
    gone = _package(*asked, "--push", f"{host}/desk", shelf=shelf, code=3)
    assert host in gone.stderr
    told = _package(plain, "--base", base, "--pin", shelf=shelf, code=2).stderr
    assert "--pin and -f belong to --push" in told


@pytest.fixture
def silent():
    """A registry of packages that takes every call and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def test_ctrl_c_leaves_nothing(tmp_path, base, silent):
    shelf = Shelf(tmp_path / "wheels")
    plugin = _plugin(tmp_path / "mine")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        **shelf.pip.environ,
        "PIP_NO_INDEX": "",
        "PIP_INDEX_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/simple",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ntp.cli", "plugin", "package", plugin, "--base", base, "-o", tmp_path / "x.tar"],
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "TMPDIR": str(scratch), "LANG": "C.UTF-8"},
        start_new_session=True,
    )  # fmt: skip
    try:
        connection, _ = silent.accept()  # pip asks, and waits for an answer
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert [path for path in scratch.iterdir() if path.name.startswith("ntp-")] == []
    ended = time.monotonic() + 60
    while _pips(f"TMPDIR={scratch}"):
        assert time.monotonic() < ended, "pip goes on"
        time.sleep(0.05)
    connection.close()
    assert sorted(path.name for path in plugin.iterdir()) == ["mine.py", "plugin.yaml"]


@pytest.mark.long
@pytest.mark.docker
def test_docker_loads_it_under_the_same_id(tmp_path, plain, base, shelf, engine):
    run = _package(plain, "--base", base, "-o", tmp_path / "x.tar", "--output", "json", shelf=shelf)
    said = json.loads(run.stdout)
    assert engine.run("load", "-i", tmp_path / "x.tar") == "Loaded image: ntp/mine:1.2.0\n"
    try:
        (inspected,) = json.loads(engine.run("image", "inspect", "ntp/mine:1.2.0"))
        # The latter: containerd's image store.
        assert inspected["Id"] in (said["id"], said["digest"])
    finally:
        engine.run("rmi", "-f", "ntp/mine:1.2.0")


@pytest.mark.long
def test_skopeo_takes_the_archive_as_it_is(tmp_path, plain, base, shelf):
    if shutil.which("skopeo") is None:
        absent("programs", "skopeo is not installed: apt-get install skopeo")
    run = _package(plain, "--base", base, "-o", tmp_path / "x.tar", "--output", "json", shelf=shelf)
    target = tmp_path / "copied"
    subprocess.run(
        ["skopeo", "copy", "--quiet", f"oci-archive:{tmp_path / 'x.tar'}:1.2.0", f"oci:{target}:1.2.0"],
        check=True,
        timeout=60,
    )  # fmt: skip
    copied = image.choose(Layout.open(target), "1.2.0", architecture="amd64")
    assert copied.digest == json.loads(run.stdout)["digest"]
