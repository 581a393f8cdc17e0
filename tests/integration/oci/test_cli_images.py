"""`ntpctl images`: each input is built once, and what an engine loads is what was built."""

import asyncio
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ntp.oci import archive, image
from ntp.oci.layout import Layout
from ntp.oci.referrer import attached
from orchestrator.app import images as room
from orchestrator.errors import ActionError
from orchestrator.settings import find
from tests.worlds import base_image
from tests.worlds.users import plain

LONE = """\
from ntp import PluginMetadata, StrategyPlugin


class Lone(StrategyPlugin):
    def get_metadata(self):
        return PluginMetadata("Lone", "1.0", "me", "Waits.", [], {"period": "int"})

    def analyze(self, data, history):
        return None
"""
BUNDLED = ["binance_data", "bollinger_strategy", "momentum_strategy", "paper_executor", "polygon_data", "replay_data", "rsi_indicator"]  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "layout"
    base_image.make(folder)
    return folder


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """Copies of the SDK, which take seconds to make and are the same for all."""
    return tmp_path_factory.mktemp("env")


@pytest.fixture
def ntpctl(tmp_path, environments):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "env").symlink_to(environments)

    def run(*arguments, code=0, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "images", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=110,
            cwd=tmp_path,
            env={**plain(), "NTP_CACHE": str(tmp_path / "cache"), **environment},
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def _rows(done):
    return {row["plugin"]: row for row in json.loads(done.stdout)["images"]}


def test_all_bundled_plugins_are_built_once_and_listed(tmp_path, base, ntpctl):
    assert "no image is here yet" in ntpctl("list").stderr
    assert "no base image was named yet" in ntpctl("build", code=5).stderr

    first = _rows(ntpctl("build", "--base", base, "-o", "json"))
    assert sorted(first) == BUNDLED
    assert {row["built"] for row in first.values()} == {True}
    blobs = sorted((tmp_path / "cache" / "images" / "blobs" / "sha256").iterdir())
    times = [path.stat().st_mtime_ns for path in blobs]

    again = ntpctl("build", "-o", "json")
    assert {row["built"] for row in _rows(again).values()} == {False}
    assert "rsi_indicator: nothing changed" in again.stderr
    assert {name: row["digest"] for name, row in _rows(again).items()} == {
        name: row["digest"] for name, row in first.items()
    }
    # No change, no work: not a byte was written.
    assert sorted((tmp_path / "cache" / "images" / "blobs" / "sha256").iterdir()) == blobs
    assert [path.stat().st_mtime_ns for path in blobs] == times

    table = ntpctl("list").stdout
    assert re.search(
        r"ntp/bollinger-strategy:1\.0\.0 +sha256:[0-9a-f]{12} +\d+ [KM]iB +\d+s +bollinger_strategy +yes",
        table,
    )


def test_a_changed_plugin_alone_is_built_anew_and_both_stay(tmp_path, base, ntpctl):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    file = plugins / "lone.py"
    file.write_text(LONE)
    environment = {"PLUGIN_DIR": str(plugins)}
    before = _rows(
        ntpctl("build", "lone", "rsi_indicator", "--base", base, "-o", "json", **environment)
    )
    file.write_text(LONE + "\nx = 1\n")
    after = _rows(ntpctl("build", "lone", "rsi_indicator", "-o", "json", **environment))
    assert after["lone"]["built"]
    assert not after["rsi_indicator"]["built"]
    assert after["lone"]["digest"] != before["lone"]["digest"]
    listed = json.loads(ntpctl("list", "-o", "json").stdout)["images"]
    found = {row["digest"]: row["newest"] for row in listed if row["plugin"] == "lone"}
    assert sorted(found.values()) == [False, True]

    other = tmp_path / "other"
    base_image.make(other, more="other")
    moved = _rows(ntpctl("build", "rsi_indicator", "-o", "json", NTP_BASE=str(other)))
    assert moved["rsi_indicator"]["built"]
    assert moved["rsi_indicator"]["base"] != before["rsi_indicator"]["base"]


def test_what_is_built_is_what_the_author_packs(tmp_path, base, ntpctl):
    folder = Path(__file__).parents[3] / "plugin-images" / "momentum-strategy"
    built = _rows(ntpctl("build", "momentum_strategy", "--base", base, "-o", "json"))
    packed = subprocess.run(
        [sys.executable, "-m", "ntp.cli", "plugin", "package", folder, "--base", base, "--revision", "",
         "-o", tmp_path / "x.tar", "--output", "json"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(packed.stdout)["digest"] == built["momentum_strategy"]["digest"]


def test_a_runtime_gets_images_and_one_file_to_load_them_all(tmp_path, base, ntpctl):
    rows = _rows(ntpctl("build", "rsi_indicator", "replay_data", "--base", base, "-o", "json"))
    settings = find((), cwd=tmp_path, environment={"NTP_CACHE": str(tmp_path / "cache")})
    digests = [row["digest"] for row in rows.values()]
    with room.archive(settings, digests) as file:
        with tarfile.open(file) as tar:
            names = tar.getnames()
            said = json.load(tar.extractfile("manifest.json"))
        assert len(names) == len(set(names))
        assert sorted(tag for each in said for tag in each["RepoTags"]) == ["ntp/replay-data:1.0.0", "ntp/rsi-indicator:1.0.0"]  # fmt: skip
        into = Layout.create(tmp_path / "into")
        index = archive.take(file, into)
        for each in index:
            image.check(into, image.read(into, each))
        assert [each.digest for each in index] == digests
    assert not file.exists()
    with (
        pytest.raises(ActionError, match="not here any more"),
        room.archive(settings, ["sha256:" + "0" * 64]),
    ):
        pass
    listed, unreadable = room.listed(settings)
    assert unreadable == []
    store = Layout.open(tmp_path / "cache" / "images")
    for row, _ in listed:
        (entry,) = (each for each in store.index() if each.digest == row.digest)
        assert len(attached(store, image.read(store, entry), store.index())) == 2


def test_an_altered_store_is_found_out(tmp_path, base, ntpctl):
    row = _rows(ntpctl("build", "rsi_indicator", "--base", base, "-o", "json"))["rsi_indicator"]
    settings = find((), cwd=tmp_path, environment={"NTP_CACHE": str(tmp_path / "cache")})
    store = Layout.open(tmp_path / "cache" / "images")
    (entry,) = (each for each in store.index() if each.digest == row["digest"])
    layer = store.path(image.read(store, entry).layers[-1].digest)
    layer.chmod(0o644)
    content = bytearray(layer.read_bytes())
    content[1000] ^= 1
    layer.write_bytes(content)
    with pytest.raises(ActionError, match="altered"), room.archive(settings, [row["digest"]]):
        pass


def test_what_cannot_be_read_is_listed_and_built_again(tmp_path, base, ntpctl):
    row = _rows(ntpctl("build", "rsi_indicator", "--base", base, "-o", "json"))["rsi_indicator"]
    manifest = Layout.open(tmp_path / "cache" / "images").path(row["digest"])
    manifest.unlink()
    told = ntpctl("list")
    assert told.stdout == ""
    assert "1 more cannot be read" in told.stderr
    said = json.loads(ntpctl("list", "-o", "json").stdout)
    assert said == {"images": [], "unreadable": [row["digest"]]}
    again = _rows(ntpctl("build", "rsi_indicator", "-o", "json"))["rsi_indicator"]
    assert (again["digest"], again["built"]) == (row["digest"], True)
    assert json.loads(ntpctl("list", "-o", "json").stdout)["unreadable"] == []


@pytest.mark.long
def test_two_at_once_make_the_same_images(tmp_path, base, ntpctl):
    async def both():
        return await asyncio.gather(  # noqa: TID251
            *(asyncio.to_thread(ntpctl, "build", "rsi_indicator", "--base", base, "-o", "json") for _ in range(2))
        )  # fmt: skip

    one, two = asyncio.run(both())
    assert _rows(one)["rsi_indicator"]["digest"] == _rows(two)["rsi_indicator"]["digest"]
    assert len(json.loads(ntpctl("list", "-o", "json").stdout)["images"]) == 1


def test_what_is_wrong_is_told(tmp_path, base, ntpctl):
    assert (
        "did you mean 'rsi_indicator'?"
        in ntpctl("build", "rsi_indicatr", "--base", base, code=2).stderr
    )
    assert "was not found" in ntpctl("build", "--base", tmp_path / "no", code=5).stderr
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "bad.py").write_text("import nonsuch_module\n")
    said = ntpctl("build", "bad", "--base", base, code=2, PLUGIN_DIR=str(plugins)).stderr
    assert "nonsuch_module" in said
    assert "fix:" in said
