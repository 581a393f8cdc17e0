"""What `ntpctl images prune` takes away: what no applied or recorded state of any project uses, no more."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from ntp.oci import image
from ntp.oci.referrer import attach
from orchestrator.app import image_use
from orchestrator.app.image_use import use
from orchestrator.catalog.image_pruning import prune
from orchestrator.catalog.image_store import BASE, ImageStore, about, with_annotations
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.ports import Revision
from orchestrator.settings import find
from orchestrator.store.sqlite import SqliteStore
from tests.worlds.packed import packed
from tests.worlds.recorded_engine import recorded
from tests.worlds.users import plain


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "cache")


@pytest.fixture
def base(store, tmp_path):
    """The base that images of this store are on, named as the last one."""
    layout, below, _ = packed(tmp_path / "packed")
    _taken(layout, below, store, {BASE: "base"})
    return below


def _taken(layout, built, store, said):
    """Keep an image in a store, with something attached to it."""
    mine = store.layout()
    for blob in (built.descriptor, built.config_descriptor, *built.layers):
        mine.take(layout.chunks(blob), blob)
    about_it = attach(mine, built, b"{}" + built.digest.encode(), "application/x")
    store.keep(mine, with_annotations(built.descriptor, said), [about_it.descriptor])


@pytest.fixture
def images(store, tmp_path, base):
    """Three images of one plugin: their digests."""
    found = []
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        layout, _, built = packed(tmp_path / "packed", version)
        _taken(layout, built, store, about("mine", version, built.digest))
        found.append(built.digest)
    return found


def _state(folder, resolved, desired=None):
    path = folder / "state.db"
    with SqliteStore.open(path) as kept:
        kept.save(Revision(1, datetime.now(UTC), (("plugins.yaml", ""),), resolved), expect=None)
        if desired is not None:
            entries = {
                name: {
                    "wanted": 2,
                    "kept": {str(n): {"artifact": {"digest": each}} for n, each in some.items()},
                }
                for name, some in desired.items()
            }
            kept.set("desired", json.dumps({"project": "desk", "revision": 1, "entries": entries}))
    return path


def _weight(store):
    return sum(each.stat().st_size for each in (store.root / "blobs" / "sha256").iterdir())


def test_only_what_nothing_uses_goes_and_its_bytes_are_told(store, images, base, tmp_path):
    first, second, third = images
    store.note("of-files", second)
    desired = {"mine": {1: "of-files", 2: first}}
    store.serve(_state(tmp_path / "desk", {"mine": "unknown"}, desired))
    found = use(store)
    assert found.applied == {first: ["desk/mine"]}
    assert found.recorded == {first, second}
    before = _weight(store)
    told = prune(store, found.recorded, dry_run=True)
    assert [each.digest for each in told.images] == [third]
    assert _weight(store) == before
    assert prune(store, found.recorded, dry_run=False) == told
    assert before - _weight(store) == told.size > 0
    layout = store.layout()
    assert {each.digest for each in store.listed()} == {first, second}
    for each in layout.index():
        if each.artifact_type is None:
            image.check(layout, image.read(layout, each))
    # Two images and the base, each with what is attached to it.
    assert len(layout.index()) == 6
    assert prune(store, found.recorded, dry_run=False).size == 0


def test_the_base_stays_and_a_project_that_is_gone_uses_nothing(store, images, base, tmp_path):
    state = _state(tmp_path / "desk", {"mine": images[0]})
    store.serve(state)
    assert use(store).recorded == {images[0]}
    state.unlink()
    assert use(store).recorded == frozenset()
    assert len(prune(store, (), dry_run=False).images) == 3
    layout = store.layout()
    [kept] = [each for each in layout.index() if each.artifact_type is None]
    assert kept.digest == base.digest
    image.check(layout, image.read(layout, kept))


def test_where_a_state_cannot_be_read_nothing_is_known_to_be_free(store, images, tmp_path):
    state = tmp_path / "desk" / "state.db"
    state.parent.mkdir()
    state.write_bytes(b"no database at all" * 100)
    store.serve(state)
    with pytest.raises(UnreachableError, match="is not known"):
        use(store)


def _lose(file, how):
    if how == "gone":
        file.unlink()
        return
    file.chmod(0o644)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"]" if how == "altered" else bytes(len(content)))


def _named(store, digest):
    """Its entry in the index, and the image."""
    layout = store.layout()
    [entry] = [each for each in layout.index() if each.digest == digest]
    return entry, image.read(layout, entry)


@pytest.mark.parametrize("how", ["gone", "altered", "no JSON"])
@pytest.mark.parametrize("what", ["manifest", "config"])
def test_an_image_that_was_lost_and_is_not_used_goes_with_what_it_alone_had(
    store, images, base, how, what
):
    layout = store.layout()
    entry, only = _named(store, images[1])
    _lose(layout.path(entry.digest if what == "manifest" else only.id), how)
    assert {each.digest for each in store.listed()} == {images[0], images[2]}
    told = prune(store, {images[0]}, dry_run=True)
    assert (told.unreadable, told.unreadable_in_use) == ((entry.digest,), ())
    assert [each.digest for each in told.images] == [images[2]]
    assert [each.digest for each in told.kept] == [images[0]]
    assert prune(store, {images[0]}, dry_run=False) == told
    assert [each.digest for each in store.listed()] == [images[0]]
    assert not layout.has(only.config_descriptor)
    # The base, what is left, and what is attached to these.
    assert len(layout.index()) == 4
    for each in layout.index():
        if each.artifact_type is None:
            image.check(layout, image.read(layout, each))
    assert prune(store, {images[0]}, dry_run=False).size == 0


@pytest.mark.parametrize("how", ["gone", "altered", "no JSON"])
@pytest.mark.parametrize("what", ["manifest", "config"])
def test_an_image_that_was_lost_and_is_used_stays_named_with_its_blobs(
    store, images, base, how, what
):
    layout = store.layout()
    entry, used = _named(store, images[0])
    _, other = _named(store, images[1])
    _lose(layout.path(entry.digest if what == "manifest" else used.id), how)
    told = prune(store, {images[0]}, dry_run=True)
    assert (told.unreadable, told.unreadable_in_use) == ((), (entry.digest,))
    assert {each.digest for each in told.images} == {*images[1:]}
    assert prune(store, {images[0]}, dry_run=False) == told
    assert not layout.has(other.config_descriptor)
    # Of one without its manifest what others share may go: it is fetched with the manifest.
    whole = used.layers if what == "config" else [used.config_descriptor]
    assert all(map(layout.has, whole))
    assert entry in layout.index()
    # The base, what is used, and what is attached to these.
    assert len(layout.index()) == 4


def _behind_a_link(store, digest):
    path = store.layout().path(digest)
    path.symlink_to(path.rename(store.root / "elsewhere"))
    return "cannot be read: Too many levels of symbolic links"


def _of_a_newer_release(store, digest):
    layout = store.layout()
    entry, _ = _named(store, digest)
    document = layout.read_json(entry)
    document["layers"][-1]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
    newer = layout.put_json(document, entry.media_type)
    store.keep(layout, with_annotations(newer, about("mine", "4.0.0", newer.digest)), [])
    return r"is application/vnd\.oci\.image\.layer\.v1\.tar\+zstd, which is not read"


@pytest.mark.parametrize("make", [_behind_a_link, _of_a_newer_release])
@pytest.mark.parametrize("which", [0, 1])
def test_where_one_cannot_be_read_for_another_reason_nothing_is_removed(
    store, images, base, make, which
):
    words = make(store, images[which])
    index = store.layout().index()
    before = sorted((store.root / "blobs" / "sha256").iterdir())
    with pytest.raises(ActionError, match=f"nothing was removed: .*{words}"):
        prune(store, {images[0]}, dry_run=False)
    assert store.layout().index() == index
    assert sorted((store.root / "blobs" / "sha256").iterdir()) == before
    assert len(store.listed()) == (3 if make is _of_a_newer_release else 2)


def test_an_attachment_that_cannot_be_read_goes_alone(store, images, base):
    layout = store.layout()
    attached = next(each for each in layout.index() if each.artifact_type is not None)
    layout.path(attached.digest).unlink()
    told = prune(store, images, dry_run=False)
    assert (told.images, told.unreadable) == ((), (attached.digest,))
    assert len(store.listed()) == 3
    assert attached.digest not in {each.digest for each in layout.index()}


def test_nothing_is_pruned_while_somebody_builds(store, images):
    store = ImageStore(store.root.parent, lock_s=0.1)
    with store.using(), store.using():
        with pytest.raises(ActionError, match="builds, fetches or prunes"):
            prune(store, (), dry_run=False)
        assert len(store.listed()) == 3
    with (
        store.alone(),
        pytest.raises(ActionError, match="builds, fetches or prunes"),
        store.using(),
    ):
        pass
    with store.using():
        pass


def test_what_is_seen_and_pruned_by_command(store, images, tmp_path):
    store.serve(_state(tmp_path / "desk", {"mine": images[0]}, {"mine": {2: images[0]}}))
    nobody = {"DOCKER_HOST": f"unix://{tmp_path}/none"}

    def ntpctl(*words):
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "images", *words],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
            env={**plain(), "NTP_CACHE": str(tmp_path / "cache"), **nobody},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    rows = json.loads(ntpctl("list", "-o", "json").stdout)["images"]
    assert {row["digest"]: row["used_by"] for row in rows} == {
        images[0]: ["desk/mine"], images[1]: [], images[2]: []
    }  # fmt: skip
    told = json.loads(ntpctl("prune", "--dry-run", "-o", "json").stdout)
    assert {each["digest"] for each in told["images"]} == set(images[1:])
    assert (told["dry_run"], told["engine"]) == (True, None)
    done = ntpctl("prune")
    assert images[1][:19] in done.stdout
    assert "freed in the cache; no engine answers" in done.stderr
    assert [each.digest for each in store.listed()] == [images[0]]


def test_of_an_engine_nothing_is_asked_while_one_that_is_used_is_lost(store, images, tmp_path):
    store.serve(_state(tmp_path / "desk", {"mine": images[0]}))
    store.layout().path(images[0]).unlink()
    with recorded("rootless-26.1-cgroup-v1", tmp_path, owner=os.geteuid()) as engine:
        settings = find(
            (),
            cwd=tmp_path,
            environment={"NTP_CACHE": str(tmp_path / "cache"), "DOCKER_HOST": engine},
        )
        told = image_use.prune(settings, dry_run=False)
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "images", "prune"],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
            env={**plain(), "NTP_CACHE": str(tmp_path / "cache"), "DOCKER_HOST": engine},
        )  # fmt: skip
    assert (told["engine"], told["unreadable_in_use"]) == (None, [images[0]])
    assert {each["digest"] for each in told["images"]} == set(images[1:])
    assert done.returncode == 0, done.stderr
    assert "1 in use is gone or altered; until it is fetched" in done.stderr
    assert "freed in the cache; what the engine has stays" in done.stderr
