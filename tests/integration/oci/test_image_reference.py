"""A plugin by its image: a tag is settled once, the rest goes by digest, and claims are only claims."""

import asyncio
import json
import tarfile
import urllib.request
from dataclasses import replace

import pytest

from ntp.oci import image, reference, source
from ntp.oci.described import manifest, oddities, python
from ntp.oci.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.layout import REF
from ntp.oci.plugin_image import MANIFEST as LABEL
from ntp.oci.registry import Registry
from ntp.package.wheels import Pip
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.fault import FaultError
from orchestrator.catalog.image_catalog import ImageCatalog
from orchestrator.catalog.image_store import BASE, ImageStore
from orchestrator.catalog.images import Images
from orchestrator.catalog.named_images import NamedImages
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.spec.model import Place, Wanted
from tests.worlds import base_image
from tests.worlds.packed import SAID, packed
from tests.worlds.registry import HTPASSWD, registry


def _built(folder, version="1.0.0"):
    layout, _, built = packed(folder, version)
    return layout, built


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return _built(tmp_path_factory.mktemp("image") / "one")


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    return _built(tmp_path_factory.mktemp("image") / "two", "2.0.0")


@pytest.fixture
def images(tmp_path):
    return NamedImages(ImageStore(tmp_path / "cache"), {}, reserved="io.ntp.")


def _push(layout, built, name):
    there = Registry(reference.parse(name).host)
    there.push(layout, built, reference.parse(name))
    there.close()


def _wanted(name, **more):
    entry = Wanted("mine", "strategy", "mine", None, name, None, Place("plugins.yaml", 3, 5))
    return replace(entry, image_place=Place("plugins.yaml", 4, 7), **more)


def _refusal(images, name, **more):
    """What a person is told, the only problem."""
    wanted = _wanted(name, **more)
    with pytest.raises(FaultError) as refused:
        images.artifact(wanted)
    (problem,) = refused.value.at(wanted)
    assert str(problem).startswith("plugins.yaml:4:7: ")
    return f"{problem.message} | {problem.fix}"


def test_a_tag_means_what_it_did_at_the_last_apply_until_it_is_asked_anew(
    tmp_path, first, second, images
):
    with registry(tmp_path / "registry") as host:
        name = f"{host}/me/mine:latest"
        _push(*first, name)
        found = images.artifact(_wanted(name))
        assert found.digest == first[1].digest
        assert found.image == f"{name}@{found.digest}"
        assert (found.entrypoint, found.version) == ("mine:Mine", "1.0.0")
        # The tag moves; what was applied does not.
        _push(*second, name)
        assert images.artifact(_wanted(name, applied=found.image)) == found
        assert images.artifact(_wanted(name, pinned=found.digest)) == found
        moved = images.artifact(_wanted(name))
        assert moved.digest == second[1].digest
        # Another tag was never applied.
        other = _wanted(f"{host}/me/mine:1.0", applied=found.image)
        _push(*second, other.image)
        assert images.artifact(other).digest == second[1].digest
    # The registry is gone.
    assert images.artifact(_wanted(name, applied=found.image)) == found
    assert images.artifact(_wanted(name, pinned=moved.digest)) == moved
    assert images.artifact(_wanted(found.image)).image == found.image
    assert "does not answer" in _refusal(images, name)
    given = images.environment(found)
    assert given.digest == first[1].digest
    assert given.image.ids == {first[1].id, first[1].digest}
    with given.image.archive() as file:
        assert file.stat().st_size > 0


def test_what_is_not_here_any_more_is_fetched_again_by_its_digest(tmp_path, first, images):
    with registry(tmp_path / "registry") as host:
        name = f"{host}/me/mine:latest"
        _push(*first, name)
        found = images.artifact(_wanted(name))
        blob = ImageStore(tmp_path / "cache").layout().path(first[1].layers[-1].digest)
        blob.unlink()
        assert images.artifact(_wanted(name, applied=found.image)) == found
        assert blob.exists()
        blob.unlink()
    with pytest.raises(UnreachableError, match="does not answer"):
        images.environment(found)


def test_an_image_for_several_machines_is_this_ones(tmp_path, first):
    layout, built = first
    with registry(tmp_path / "registry") as host:
        _push(layout, built, f"{host}/me/mine:amd")
        platform = {"os": "linux", "architecture": source.architecture()}
        index = dump(
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": [{**built.descriptor.to_json(), "platform": platform}],
            }
        )
        put = urllib.request.Request(
            f"http://{host}/v2/me/mine/manifests/many",
            data=index,
            method="PUT",
            headers={"Content-Type": INDEX},
        )
        with urllib.request.urlopen(put, timeout=10):  # noqa: S310 - to our own registry
            pass
        images = NamedImages(ImageStore(tmp_path / "cache"), {}, reserved="io.ntp.")
        found = images.artifact(_wanted(f"{host}/me/mine:many"))
        assert found.digest == built.digest
        by_digest = _wanted(f"{host}/me/mine@{digest_of(index)}")
        assert images.artifact(by_digest).digest == built.digest
        fresh = NamedImages(ImageStore(tmp_path / "other"), {}, reserved="io.ntp.")
        assert fresh.artifact(by_digest).digest == built.digest
    assert fresh.artifact(by_digest).digest == built.digest, "offline, by the digest of the index"


def test_what_cannot_be_run_is_told_at_the_line_that_names_it(tmp_path, host, first, images):
    layout, built = first
    name = f"{host}/me/refused:1"
    assert "is not there | check its name" in _refusal(images, name)
    _push(layout, built, name)
    assert "'mine', and 'other' was asked for | write 'plugin: mine'" in _refusal(
        images, name, plugin="other"
    )
    assert "is no image reference: its port" in _refusal(images, "a.b:99999/me/mine")
    _push(layout, _changed(layout, built, {"Labels": {}}), name)
    assert "no image of a plugin" in _refusal(images, name)
    _push(layout, _changed(layout, built, {"Entrypoint": ["/bin/sh"]}), name)
    assert "starts otherwise" in _refusal(images, name)
    _push(layout, _changed(layout, built, {"Env": ["PYTHONPATH=/evil"]}), name)
    assert "starts otherwise" in _refusal(images, name)
    hostile = {"Volumes": {"/data": {}}, "Labels": {**built.labels, "io.ntp.owner": "x"}}
    _push(layout, _changed(layout, built, hostile), name)
    told = _refusal(images, name)
    assert "volume '/data'" in told
    assert "'io.ntp.owner'" in told
    _push(layout, _changed(layout, built, {}, architecture="s390x"), name)
    assert f"is for s390x, and this machine is {source.architecture()}" in _refusal(images, name)
    newer = json.dumps({**SAID, "contract": "9.0", "secrets": ["a b"]})
    claims = {**built.labels, LABEL: newer, "ntp-image.manifest-digest": digest_of(newer.encode())}
    _push(layout, _changed(layout, built, {"Labels": claims}), name)
    with pytest.raises(FaultError) as refused:
        images.artifact(_wanted(name))
    assert len(refused.value.faults) == 2
    assert "contract 9.0" in str(refused.value)
    # Of what was refused nothing is named here: the one is that of the other name.
    assert [each.digest for each in ImageStore(tmp_path / "cache").listed()] == [built.digest]


def test_an_image_without_a_linux_is_for_processes(tmp_path, host, first):
    layout, built = first
    name = f"{host}/me/bare:1"
    said = {"Labels": {**built.labels, "ntp-image.system": "none"}}
    _push(layout, bare := _changed(layout, built, said), name)
    store = ImageStore(tmp_path / "cache")
    told = _refusal(NamedImages(store, {}, reserved="io.ntp.", whole=True), name)
    assert "me/bare:1 has no Linux in it: it runs without Docker only | NTP_RUNTIME=process" in told
    found = NamedImages(store, {}, reserved="io.ntp.").artifact(_wanted(name))
    assert found.digest == bare.digest


def test_a_registry_that_wants_to_know_who_asks_is_told_with_what_to_do(tmp_path, images):
    with registry(tmp_path / "registry", htpasswd=HTPASSWD) as host:
        told = _refusal(images, f"{host}/me/mine:1")
    assert "the registry refuses (401)" in told
    assert "docker login" in told


def test_an_attachment_takes_the_place_of_nothing_and_says_nothing_in_our_words(tmp_path, first):
    built = first[1]
    store = ImageStore(tmp_path / "cache")
    mine = store.layout()
    base = Descriptor(MANIFEST, digest_of(b"base"), 4, {BASE: "mine"})
    store.keep(mine, base, [])
    claims = {BASE: "theirs", "ntp-image.input": "x", REF: "ntp-base", "in-toto.io/x": "kept"}
    theirs = [
        replace(base, annotations=claims),
        Descriptor(MANIFEST, digest_of(b"a"), 1, claims, "text/x"),
    ]
    store.keep(mine, built.descriptor, theirs)
    assert len(mine.index()) == 3
    named = {each.digest: dict(each.annotations) for each in mine.index()}
    assert named == {
        built.digest: {},
        digest_of(b"a"): {"in-toto.io/x": "kept"},
        base.digest: {BASE: "mine"},
    }


def test_what_serves_all_plugins_is_of_the_base_and_of_nobody_else(tmp_path, host, first):
    """The door reaches what no plugin may."""
    _push(*first, name := f"{host}/me/served:1")
    by_files = LocalCatalog(
        project_folder=tmp_path, cache=tmp_path / "cache", bundled=tmp_path / "none", pip=Pip({})
    )
    store = ImageStore(tmp_path / "cache")
    named = NamedImages(store, {}, reserved="io.ntp.")
    found = named.artifact(_wanted(name))
    without = ImageCatalog(by_files, store, Images(store, Pip({}), {}), named, None)
    with pytest.raises(ActionError, match="no base image was named yet"):
        asyncio.run(without.prepare(found))
    base_image.make(tmp_path / "base", more="ours")
    below = str(tmp_path / "base")
    given = asyncio.run(
        ImageCatalog(by_files, store, Images(store, Pip({}), {}), named, below).prepare(found)
    )
    assert given.digest == found.digest
    [ours] = [each for each in store.layout().index() if BASE in each.annotations]
    assert given.serving.digest == ours.digest
    assert ours.digest in given.serving.image.ids
    assert not given.serving.image.ids & given.image.ids
    assert str(given.serving.site).count("wheels") == 0
    with given.serving.image.archive() as file, tarfile.open(file) as tar:
        [said] = json.load(tar.extractfile("manifest.json"))
        assert said["RepoTags"] == [given.serving.image.reference]


def test_entries_that_name_one_image_are_asked_for_once(tmp_path, host, first):
    _push(*first, name := f"{host}/me/entry:1")
    by_files = LocalCatalog(
        project_folder=tmp_path, cache=tmp_path / "cache", bundled=tmp_path / "none", pip=Pip({})
    )
    wanted = [_wanted(name), replace(_wanted(name), name="again")]
    store = ImageStore(tmp_path / "cache")
    docker = ImageCatalog(
        by_files,
        store,
        Images(store, Pip({}), {}),
        NamedImages(store, {}, reserved="io.ntp."),
        None,
    )
    found, problems = asyncio.run(docker.resolve([*wanted, _wanted(f"{host}/me/absent:1")]))
    assert found["again"].digest == first[1].digest
    assert [each.message for each in problems] == [f"{host}/me/absent:1 is not there"]
    assert asyncio.run(docker.image_of(found["again"])) == first[1].digest


def _changed(layout, built, settings, **more):
    """The image with another config, all its digests right: what an attacker can make."""
    config = {**built.config, "config": {**built.config["config"], **settings}, **more}
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


def test_a_path_of_python_is_one(tmp_path):
    layout, built = _built(tmp_path / "one")
    assert python(built, "x").startswith("/")
    starts = built.config["config"]["Entrypoint"][1:]
    for path in ("python3", "/a\nb", "/" + "a" * 300, "", 7):
        with pytest.raises(OciError, match="starts otherwise"):
            python(_changed(layout, built, {"Entrypoint": [path, *starts]}), "x")
    for odd in ({"Entrypoint": "python"}, {"Env": None}, {"Env": [7]}):
        with pytest.raises(OciError, match="starts otherwise"):
            python(_changed(layout, built, odd), "x")
