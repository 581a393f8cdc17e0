"""`ntp plugin validate` against an image that was packed before, and with real wheels on a shelf."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner

from ntp.cli import main
from tests.worlds import base_image, plugin_folder
from tests.worlds.shelf import Shelf

MANIFEST = """\
name: mine
version: 1.0.0
author: me
description: Buys.
kind: strategy
entrypoint: mine:Mine
config_schema: {period: int, more: str}
"""
CODE = """\
from ntp import StrategyPlugin


class Mine(StrategyPlugin):
    def analyze(self, data, history):
        return None
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    found = Shelf(tmp_path_factory.mktemp("shelf") / "wheels")
    found.wheel("shelved", "1.0", {"shelved/__init__.py": "x = 1\n"})
    return found


@pytest.fixture
def plugin(tmp_path):
    return plugin_folder.write(tmp_path / "mine", MANIFEST, CODE)


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("NTP_CONFIG", str(tmp_path / "configuration"))


def run(*arguments, code=0, shelf=None):
    environment = {} if shelf is None else dict(shelf.pip.environ)
    result = CliRunner().invoke(main, ["plugin", *map(str, arguments)], env=environment)
    assert result.exit_code == code, result.output
    return result


def test_the_next_version_is_compared_with_the_image_of_the_last(plugin, tmp_path):
    base = tmp_path / "base"
    base_image.make(base)
    packed = tmp_path / "mine-1.0.0.tar"
    run("package", plugin, "--base", base, "--out", packed)
    layout = tmp_path / "layout"
    run("package", plugin, "--base", base, "--out", layout, "--format", "oci-layout")
    before = shutil.copytree(plugin, tmp_path / "before")

    text = MANIFEST.replace(", more: str", "").replace("1.0.0", "1.1.0")
    (plugin / "plugin.yaml").write_text(text)
    for published in (packed, layout, before):
        said = run("validate", plugin, "--against", published, code=2).stdout
        assert "plugin.yaml:7:1: error: config.more is gone" in said
        assert "write 'version: 2.0.0'" in said
    (plugin / "plugin.yaml").write_text(text.replace("1.1.0", "2.0.0"))
    assert (
        "note: since 1.0.0: config.more is gone"
        in run("validate", plugin, "--against", packed).stdout
    )


def test_what_is_no_plugin_cannot_be_compared_with(plugin, tmp_path):
    base = tmp_path / "base"
    base_image.make(base)
    assert "is no image of a plugin" in run("validate", plugin, "--against", base, code=2).stderr
    gone = run("validate", plugin, "--against", tmp_path / "none.tar", code=2)
    assert "none.tar was not found" in gone.stderr


def test_requirements_are_resolved_and_have_to_be_locked(plugin, tmp_path, shelf):
    (plugin / "plugin.yaml").write_text(MANIFEST + "requirements: [shelved>=1]\n")
    (plugin / "mine.py").write_text(f"import shelved\n{CODE}")
    said = run("validate", plugin, shelf=shelf)
    assert "plugin.yaml:8:1: warning: they are not locked by hash [lock]" in said.stdout
    assert not (plugin / "requirements.lock").exists()

    base = tmp_path / "base"
    base_image.make(base)
    run("package", plugin, "--base", base, "--out", tmp_path / "mine.tar", shelf=shelf)
    assert (
        "0 errors, 0 warnings, 0 notes" in run("validate", plugin, "--strict", "--offline").stdout
    )

    (plugin / "plugin.yaml").write_text(MANIFEST + "requirements: [shelved>=2]\n")
    said = run("validate", plugin, "--offline", code=2).stdout
    assert (
        "requirements.lock: error: it was made for shelved>=1, and plugin.yaml requires shelved>=2"
        in said
    )
    (plugin / "requirements.lock").unlink()
    assert "error: no wheels satisfy them" in run("validate", plugin, code=2, shelf=shelf).stdout
    (plugin / "requirements.lock").write_text("shelved==1\n")
    assert (
        "requirements.lock: error: it cannot be used: line 1"
        in run("validate", plugin, code=2).stdout
    )


def test_an_import_under_another_name_is_a_question_where_something_is_required(plugin):
    (plugin / "plugin.yaml").write_text(MANIFEST + "requirements: [some-package]\n")
    (plugin / "mine.py").write_text(f"import other_name\n{CODE}")
    said = run("validate", plugin, "--offline").stdout
    assert "mine.py:1:1: warning: imports 'other_name'" in said


def test_what_the_sdk_brings_needs_no_lock(plugin):
    (plugin / "plugin.yaml").write_text(
        MANIFEST + "requirements: [numpy>=1, websockets>=15, ntp-sdk]\n"
    )
    assert "0 errors, 0 warnings, 0 notes" in run("validate", plugin, "--strict").stdout


def test_without_a_registry_it_is_a_warning(plugin, monkeypatch):
    (plugin / "plugin.yaml").write_text(MANIFEST + "requirements: [some-package]\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # discard: nobody listens
    said = run("validate", plugin).stdout
    assert "plugin.yaml:8:1: warning: they are not locked by hash, and nobody says if" in said


@pytest.mark.parametrize("template", ["websocket", "csv"])
def test_a_new_plugin_can_be_packaged_as_it_is(template, tmp_path):
    base, fresh = tmp_path / "base", tmp_path / "fresh"
    base_image.make(base)
    run("create", fresh, "--template", template, "--author", "Ann")
    said = run(
        "package", fresh, "--base", base, "--out", tmp_path / "fresh.tar", "--output", "json"
    )
    assert json.loads(said.stdout)["plugin"] == "fresh"
    # And is the same plugin as its image says.
    against = run(
        "validate", fresh, "--offline", "--against", tmp_path / "fresh.tar", code=2
    ).stdout
    assert "1 error, 1 warning, 0 notes" in against
    assert "0.1.0 is not above the published 0.1.0" in against
