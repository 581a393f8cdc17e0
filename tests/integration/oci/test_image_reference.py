"""A plugin by its image: a tag is settled once, the rest goes by digest, and claims are only claims."""

import json

import pytest

from ntp.oci import image, reference, source
from ntp.oci.base import facts
from ntp.oci.described import manifest, oddities
from ntp.oci.descriptor import CONFIG, MANIFEST, Descriptor, digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.layout import Layout
from ntp.oci.plugin_image import MANIFEST as LABEL
from ntp.oci.plugin_image import Plugin, build
from ntp.oci.registry import Registry
from ntp.package.tree import Tree
from ntp.package.wheels import Pip
from orchestrator.catalog.images import Images
from orchestrator.errors import ActionError, UnreachableError
from tests.worlds import base_image
from tests.worlds.registry import registry

SAID = {"name": "mine", "version": "1.0.0", "kind": "strategy", "entrypoint": "mine:Mine"}


def _built(folder, version="1.0.0"):
    base_image.make(folder)
    layout = Layout.open(folder)
    below = image.choose(layout, None, architecture="amd64")
    said = {**SAID, "version": version}
    plugin = Plugin("mine", version, said, {}, Tree({"mine.py": b"x = 1\n"}), ())
    found = source.Sourced(below, "base")
    return layout, build(layout, plugin, found, facts(below, "base"), pip=Pip({})).image


def _store(folder):
    return Images(folder / "cache", Pip({}), {})


def test_a_tag_is_settled_once_and_by_digest_nobody_is_asked_again(tmp_path):
    layout, first = _built(tmp_path / "one")
    other, second = _built(tmp_path / "two", "2.0.0")
    store = _store(tmp_path)
    with registry(tmp_path / "registry") as host:
        name = f"{host}/me/mine:latest"
        there = Registry(host)
        there.push(layout, first, reference.parse(name))
        settled = store.settle(name)
        assert settled == f"{name}@{first.digest}"
        row, said = store.fetched(settled)
        # The tag moves; what was settled does not.
        there.push(other, second, reference.parse(name))
        there.close()
        assert store.settle(name) != settled
        assert store.settle(settled) == settled
        with pytest.raises(ActionError, match="may mean another image tomorrow"):
            store.fetched(name)
    assert (row.plugin, row.version, row.digest, row.id) == (
        "mine",
        "1.0.0",
        first.digest,
        first.id,
    )
    assert said.entrypoint == "mine:Mine"
    # The registry is gone.
    assert store.fetched(settled)[0].digest == first.digest
    with store.archive([first.digest]) as file:
        assert file.stat().st_size > 0
    with pytest.raises(UnreachableError, match="does not answer"):
        store.settle(name)
    with pytest.raises(ActionError, match="names no registry"):
        store.fetched(str(tmp_path / "one"))


def _changed(layout, built, settings):
    """The image with another config, all its digests right: what an attacker can make."""
    config = {**built.config, "config": {**built.config["config"], **settings}}
    inner = dump(config)
    described = Descriptor(CONFIG, digest_of(inner), len(inner))
    layout.take(iter([inner]), described)
    outer = dump({**layout.read_json(built.descriptor), "config": described.to_json()})
    found = Descriptor(MANIFEST, digest_of(outer), len(outer))
    layout.take(iter([outer]), found)
    return image.read(layout, found)


def test_what_an_image_says_it_is_has_to_be_a_manifest(tmp_path):
    layout, built = _built(tmp_path / "one")
    labels = dict(built.labels)
    with pytest.raises(OciError, match="no image of a plugin"):
        manifest(_changed(layout, built, {"Labels": {}}), "x")
    with pytest.raises(OciError, match="do not fit each other"):
        manifest(_changed(layout, built, {"Labels": {**labels, LABEL: json.dumps(SAID)}}), "x")
    for text, words in (("[", "no JSON"), ('{"name": "../x"}', "'name' was"), ("[]", "mapping")):
        forged = {**labels, LABEL: text, "ntp-image.manifest-digest": digest_of(text.encode())}
        with pytest.raises(OciError, match=words):
            manifest(_changed(layout, built, {"Labels": forged}), "x")


def test_what_an_engine_would_follow_by_itself_is_told(tmp_path):
    layout, built = _built(tmp_path / "one")
    assert oddities(built, reserved="ntp.") == ()
    hostile = {
        "Volumes": {"/data": {}},
        "Labels": {**built.labels, "ntp.plugin": "other"},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000},
        "WorkingDir": "/proc/self/fd/8",
        "OnBuild": ["RUN x"],
    }
    told = oddities(_changed(layout, built, hostile), reserved="ntp.")
    assert len(told) == 5
    for words in ("'/data'", "'ntp.plugin'", "Healthcheck", "OnBuild", "/proc/self/fd/8"):
        assert any(words in each for each in told)
