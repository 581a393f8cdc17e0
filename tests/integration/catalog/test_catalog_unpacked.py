"""An image on a runtime without an engine: what of it is the plugin's own is taken out once, and run with what is here."""

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ntp.oci import image, source
from ntp.oci.base_image import facts
from ntp.oci.descriptor import CONFIG, MANIFEST, Descriptor, digest_of, dump
from ntp.oci.layout import Layout
from ntp.oci.own_layers import own_layers
from ntp.oci.plugin_image import Plugin, build
from ntp.package.cache import Cache
from ntp.package.interpreter import platform_tag
from ntp.package.lock import Pin
from ntp.package.seal_key import SealKey
from ntp.package.seals import Seals
from ntp.package.tree import Tree
from ntp.package.wheels import Pip
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.catalog.fault import FaultError
from orchestrator.catalog.image_pruning import prune
from orchestrator.catalog.image_store import ImageStore, about, with_annotations
from orchestrator.catalog.named_images import NamedImages
from orchestrator.catalog.process_catalog import ProcessCatalog
from orchestrator.catalog.unpacked import Folders, Unpacked
from orchestrator.errors import ActionError
from orchestrator.spec.model import Place, Wanted
from tests.worlds import base_image
from tests.worlds.shelf import Shelf

SAID = {"name": "mine", "version": "1.0.0", "kind": "strategy", "entrypoint": "mine:Mine"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A layout with an image of a plugin that has a wheel of its own."""
    home = tmp_path_factory.mktemp("made")
    shelf = Shelf(home / "shelf")
    wheel = shelf.wheel("demo_lib", "1.2.0", {"demo_lib/__init__.py": "VALUE = 41\n"})
    pin = Pin("demo-lib", "1.2.0", digest_of(wheel.read_bytes()).partition(":")[2])
    base_image.make(home / "layout")
    layout = Layout.open(home / "layout")
    below = image.choose(layout, None, architecture=source.architecture())
    said = {**SAID, "requirements": ["demo-lib"]}
    code = Tree({"mine.py": b"import demo_lib\nx = demo_lib.VALUE + 1\n", "own/data.txt": b"7"})
    plugin = Plugin("mine", "1.0.0", said, {}, code, (pin,))
    found = source.Sourced(below, "base")
    built = build(layout, plugin, found, facts(below, "base"), pip=shelf.pip).image
    return layout, built


@pytest.fixture
def here(tmp_path, warm_cache):
    """A catalog on processes, and its store; the copies of the SDK are made already."""
    cache = warm_cache / f"images-{os.urandom(4).hex()}"
    cache.mkdir()
    (warm_cache / "env").mkdir(exist_ok=True)
    (cache / "env").symlink_to(warm_cache / "env", target_is_directory=True)
    store = ImageStore(cache)
    states = tmp_path / "states"
    states.mkdir()
    by_files = LocalCatalog(
        project_folder=tmp_path, cache=cache, bundled=tmp_path / "none", pip=Pip({})
    )
    catalog = ProcessCatalog(
        by_files,
        NamedImages(store, {}, reserved="io.ntp.", bare=True),
        Unpacked(store, cache, states),
    )

    def keep(layout, built):
        """As `ntpctl plugin install` does; return how an entry names it."""
        into = store.layout()
        for blob in (built.descriptor, built.config_descriptor, *built.layers):
            into.take(layout.chunks(blob), blob)
        said = about("mine", "1.0.0", built.digest)
        store.keep(into, with_annotations(built.descriptor, said), [])
        return f"127.0.0.1:1/me/mine:1.0.0@{built.digest}"

    return SimpleNamespace(
        catalog=catalog, store=store, keep=keep, cache=cache, room=cache / "unpacked", states=states
    )


def _wanted(name):
    entry = Wanted("mine", "strategy", "mine", None, name, None, Place("plugins.yaml", 3, 5))
    return replace(entry, image_place=Place("plugins.yaml", 4, 7))


def _artifact(here, name):
    found, problems = asyncio.run(here.catalog.resolve([_wanted(name)]))
    assert problems == []
    return found["mine"]


def _refusals(here, name):
    found, problems = asyncio.run(here.catalog.resolve([_wanted(name)]))
    assert found == {}
    assert {(each.file, each.line, each.column) for each in problems} == {("plugins.yaml", 4, 7)}
    return [f"{each.message} | {each.fix}" for each in problems]


def _changed(layout, built, **more):
    """The image with another config, all its digests right."""
    config = {**built.config, **more}
    inner = dump(config)
    described = Descriptor(CONFIG, digest_of(inner), len(inner))
    layout.take(iter([inner]), described)
    outer = dump({**layout.read_json(built.descriptor), "config": described.to_json()})
    found = Descriptor(MANIFEST, digest_of(outer), len(outer))
    layout.take(iter([outer]), found)
    return image.read(layout, found)


def _labelled(layout, built, **labels):
    settings = built.config["config"]
    said = {name: text for name, text in {**built.labels, **labels}.items() if text is not None}
    return _changed(layout, built, config={**settings, "Labels": said})


def test_its_code_and_wheels_run_with_the_python_and_the_sdk_of_every_other_plugin(here, made):
    artifact = _artifact(here, here.keep(*made))
    assert (artifact.digest, artifact.plugin) == (made[1].digest, "mine")
    assert asyncio.run(here.catalog.image_of(artifact)) == made[1].digest
    given = asyncio.run(here.catalog.prepare(artifact))
    assert given.image is None
    sdk, wheels, runtime = given.site
    assert (sdk / "ntp").is_dir()
    assert (runtime / "msgspec").is_dir()
    assert wheels.parent == given.code.parent == here.room
    assert wheels.name == f"{made[1].layers[-2].hexadecimal}-{platform_tag()}"
    told = subprocess.run(
        [given.python, "-S", "-s", "-P", "-B", "-c", "import mine, ntp; print(mine.x, ntp.__file__)"],
        env={"PYTHONPATH": ":".join(map(str, (*given.site, given.code)))},
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert told == f"42 {sdk}/ntp/__init__.py\n"


def test_what_is_taken_out_is_read_only_compiled_and_made_once(here, made):
    artifact = _artifact(here, here.keep(*made))
    given = asyncio.run(here.catalog.prepare(artifact))
    files = {
        str(each.relative_to(given.code)): each for each in given.code.rglob("*") if each.is_file()
    }
    (compiled,) = [name for name in files if name.endswith(".pyc")]
    assert files.keys() == {"mine.py", "own/data.txt", compiled}
    assert {each.stat().st_mode & 0o777 for each in files.values()} == {0o444}
    before = {each: each.stat().st_ino for each in here.room.iterdir()}
    assert asyncio.run(here.catalog.prepare(_artifact(here, artifact.image))) == given
    assert {each: each.stat().st_ino for each in here.room.iterdir()} == before
    # What was killed half-way leaves what nobody takes for the whole.
    scratch = given.code.rename(given.code.with_name(f".{given.code.name}.dead"))
    assert asyncio.run(here.catalog.prepare(artifact)) == given
    assert not scratch.exists()


def test_what_it_was_made_with_and_what_is_here_have_to_fit(here, made):
    layout, built = made
    contract = "ntp-image.contract"
    [told] = _refusals(here, here.keep(layout, _labelled(layout, built, **{contract: "1.9"})))
    assert told.startswith("127.0.0.1:1/me/mine:1.0.0: it was packaged for contract 1.9, and 1.0 ")
    assert told.endswith(
        "| update ntp-orchestrator, or run it whole, on Docker (NTP_RUNTIME=docker)"
    )
    # Pure Python fits any.
    other = _labelled(layout, built, **{"ntp-image.python": "cpython-399-s390x-linux-gnu"})
    assert _artifact(here, here.keep(layout, other)).digest == other.digest


def test_an_image_that_ntp_did_not_package_is_for_docker(here, made):
    layout, built = made
    foreign = _labelled(layout, built, **{"ntp-image.layers": None})
    [told] = _refusals(here, here.keep(layout, foreign))
    assert (
        "not as `ntp plugin package` makes it: it can only be run whole | run it on Docker" in told
    )
    swapped = json.dumps({"code": built.diff_ids[-2], "wheels": built.diff_ids[-1]})
    lying = _labelled(layout, built, **{"ntp-image.layers": swapped})
    [told] = _refusals(here, here.keep(layout, lying))
    assert "it can only be run whole" in told
    only = _labelled(
        layout, built, **{"ntp-image.layers": json.dumps({"code": built.diff_ids[-1]})}
    )
    # Without its wheels it lacks what it needs.
    [told] = _refusals(here, here.keep(layout, only))
    assert "it needs demo-lib, which is not in its image and not here" in told
    code = f"{built.layers[-1].hexadecimal}-{platform_tag()}"
    assert [each.name for each in here.room.iterdir()] == [code]


def test_what_does_not_fit_any_more_is_refused_before_anything_is_stopped(here, made):
    layout, built = made
    newer = _labelled(layout, built, **{"ntp-image.contract": "1.9"})
    artifact = _artifact(here, here.keep(layout, built))
    here.keep(layout, newer)
    later = replace(artifact, image=artifact.image.replace(built.digest, newer.digest))
    with pytest.raises(ActionError, match=r"contract 1\.9") as refused:
        asyncio.run(here.catalog.prepare(later))
    assert refused.value.permanent


def test_what_was_altered_runs_nowhere_and_says_what_to_do(here, made):
    name = here.keep(*made).replace("127.0.0.1:1/me", "localhost")
    blob = here.store.layout().path(made[1].layers[-1].digest)
    blob.chmod(0o644)
    blob.write_bytes(bytes(blob.stat().st_size))
    [told] = _refusals(here, name)
    assert told.startswith(
        "localhost/mine:1.0.0 is not in the cache any more, or was altered there"
    )
    assert told.endswith(
        "| it came from a folder or a file: ntpctl plugin uninstall it, and install it again"
    )


def test_nobody_reads_the_layers_of_a_base_that_is_not_run(here, made):
    name = here.keep(*made)
    for layer in made[1].layers[:-2]:
        here.store.layout().path(layer.digest).unlink()
    artifact = _artifact(here, name)
    assert asyncio.run(here.catalog.prepare(artifact)).code is not None
    whole = NamedImages(here.store, {}, reserved="io.ntp.")
    with pytest.raises(FaultError, match=r"registry|127\.0\.0\.1"):
        whole.artifact(_wanted(name))


def _written(file, content):
    file.chmod(0o644)
    file.write_bytes(content)


ALTERED = {
    "code": lambda given: _written(given.code / "mine.py", b"import demo_lib\nx = demo_lib.VALUE + 9\n"),
    "compiled code": lambda given: _written(next(given.code.rglob("*.pyc")), b"another"),
    "wheels": lambda given: _written(given.site[1] / "demo_lib" / "__init__.py", b"VALUE = 44\n"),
    "one more": lambda given: (given.code / "json.py").write_bytes(b""),
    "one less": lambda given: (given.code / "own" / "data.txt").unlink(),
    "a link": lambda given: (given.code / "json.py").symlink_to("/etc/hostname"),
    "a pipe": lambda given: os.mkfifo(given.code / "json.py"),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_since_it_was_taken_out_is_taken_out_anew(here, made, what):
    artifact = _artifact(here, here.keep(*made))
    given = asyncio.run(here.catalog.prepare(artifact))
    assert given.unaltered()
    ALTERED[what](given)
    assert not given.unaltered()
    unpacked = Unpacked(here.store, here.cache, here.states)
    folders = unpacked.of(made[1], "mine")
    assert (folders.code, folders.wheels) == (given.code, given.site[1])
    assert unpacked.unaltered(folders)
    assert given.unaltered()
    assert {str(each.relative_to(given.code)) for each in given.code.rglob("*.*") if each.suffix != ".pyc"} == {"mine.py", "own/data.txt"}  # fmt: skip
    assert (given.code / "mine.py").read_bytes().endswith(b"+ 1\n")
    assert (given.site[1] / "demo_lib" / "__init__.py").read_text() == "VALUE = 41\n"
    [aside] = here.room.glob(".altered-*")
    left = sorted(aside.rglob("*"))
    # A plugin that was started from it may import more of it at any time.
    prune(here.store, {made[1].digest}, dry_run=False)
    assert sorted(aside.rglob("*")) == left
    assert unpacked.unaltered(folders)
    prune(here.store, set(), dry_run=False)
    assert not aside.exists()
    assert list(here.cache.glob("seals/*")) == []


def _said(given):
    return given.code.parents[1] / "seals" / f"{given.code.name}.json"


def _sealed_anew(given):
    """As somebody does who may write to the cache alone."""
    _written(given.code / "mine.py", b"import demo_lib\nx = demo_lib.VALUE + 9\n")
    other = SealKey(given.code.parents[2] / "no state folder")
    Seals(Cache(given.code.parents[1]), other).note(given.code, given.code.name)


def _crafted(value):
    def craft(given):
        _written(given.code / "mine.py", b"x = 9\n")
        Cache(given.code.parents[1]).write("seals", given.code.name, value)

    return craft


FORGED = {
    "folder and seal": _sealed_anew,
    "a list": _crafted({"entries": [1], "bytes": {}}),
    "no mapping": _crafted([1]),
    "nested": lambda given: _crafted(1)(given) or _said(given).write_text("[" * 200_000),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_a_seal_that_was_altered_too_holds_for_nothing(here, made, what):
    given = asyncio.run(here.catalog.prepare(_artifact(here, here.keep(*made))))
    FORGED[what](given)
    # A process that has not looked at it yet, as the next controller.
    unpacked = Unpacked(here.store, here.cache, here.states)
    folders = Folders(own_layers(made[1], "mine"), given.code, given.site[1])
    assert not unpacked.unaltered(folders)
    assert unpacked.of(made[1], "mine") == folders
    assert (given.code / "mine.py").read_bytes().endswith(b"+ 1\n")
    assert len([*here.room.glob(".altered-*")]) == 1
    assert Unpacked(here.store, here.cache, here.states).unaltered(folders)


def _other_key(here):
    (here.states / "seals.key").write_bytes(b"k" * 32)


def _no_key(here):
    (here.states / "seals.key").unlink()
    here.states.rmdir()


def _open_key(here):
    (here.states / "seals.key").chmod(0o644)


UNKNOWN = {
    "no seal": lambda here: [each.unlink() for each in here.cache.glob("seals/*")],
    "another key": _other_key,
    "no key": _no_key,
    "a key that others may read": _open_key,
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_was_not_sealed_for_us_is_compared_with_its_layer_and_stays(here, made, what):
    given = asyncio.run(here.catalog.prepare(_artifact(here, here.keep(*made))))
    assert (here.states / "seals.key").stat().st_mode & 0o777 == 0o600
    before = {each: each.stat().st_ino for each in here.room.iterdir()}
    UNKNOWN[what](here)
    unpacked = Unpacked(here.store, here.cache, here.states)
    folders = Folders(own_layers(made[1], "mine"), given.code, given.site[1])
    assert not unpacked.unaltered(folders)
    assert unpacked.of(made[1], "mine") == folders
    assert unpacked.unaltered(folders)
    assert {each: each.stat().st_ino for each in here.room.iterdir()} == before
    # Sealed now, for all who have the key; where there is no folder for one, for nobody else.
    later = Unpacked(here.store, here.cache, here.states)
    assert later.unaltered(folders) == (what != "no key")


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_pruning_leaves_what_runs_of_an_image_that_was_lost(here, made, what):
    name = here.keep(*made)
    given = asyncio.run(here.catalog.prepare(_artifact(here, name)))
    other = here.room / f"{'0' * 64}-{platform_tag()}"
    other.mkdir()
    here.store.layout().path(made[1].digest if what == "manifest" else made[1].id).unlink()
    assert prune(here.store, {made[1].digest}, dry_run=False).unreadable_in_use
    assert {*here.room.iterdir()} == {given.code, given.site[1], other}
    assert given.unaltered()
    # As soon as it is there again, what nobody has is known again.
    assert here.keep(*made) == name
    prune(here.store, {made[1].digest}, dry_run=False)
    assert {*here.room.iterdir()} == {given.code, given.site[1]}
    assert given.unaltered()


def test_pruning_takes_what_belongs_to_no_image_that_is_used(here, made):
    name = here.keep(*made)
    given = asyncio.run(here.catalog.prepare(_artifact(here, name)))
    other = here.room / f"{'0' * 64}-{platform_tag()}"
    other.mkdir()
    (other / "x.py").write_text("x = 1\n")
    dead = here.room / ".dead"
    dead.mkdir()
    assert prune(here.store, {made[1].digest}, dry_run=True).size == 6
    assert other.exists()
    assert prune(here.store, {made[1].digest}, dry_run=False).size == 6
    assert {*here.room.iterdir()} == {given.code, given.site[1]}
    assert prune(here.store, set(), dry_run=False).size > 6
    assert list(here.room.iterdir()) == []
