"""Layers, images and archives: the same input is the same bytes, and no altered byte is read."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from ntp.oci import archive, image, layer
from ntp.oci.archive import Item
from ntp.oci.descriptor import (
    CONFIG,
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    LAYER,
    LAYER_GZIP,
    Descriptor,
    digest_of,
    dump,
)
from ntp.oci.fault import OciError
from ntp.oci.layer import File, Form, Held, Link
from ntp.oci.layout import Layout
from ntp.oci.referrer import attach, attached
from ntp.oci.wrapped import Wrapped

PLAIN = {
    "/opt/b.py": File(Held(b"b = 1\n")),
    "/opt/a/c.py": File(Held(b"c = 2\n")),
    "/bin/run": File(Held(b"#!"), program=True),
    "/bin/again": Link("run"),
}


def _made(folder: Path, entries=PLAIN, **form):
    layout = Layout.create(folder)
    made = layer.write(layout, entries, Form(**form), comment="for a test")
    built = image.build(
        layout,
        base=None,
        layers=[made],
        settings={"User": "65532:65532", "Labels": {"a": "b"}},
        annotations={},
        architecture="amd64",
    )
    return layout, made, built


def test_a_layer_is_the_same_bytes_whatever_the_order_the_umask_and_the_time_zone(
    tmp_path, monkeypatch
):
    before = os.umask(0o077)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    try:
        _, first, _ = _made(tmp_path / "one", dict(reversed(PLAIN.items())))
    finally:
        os.umask(before)
    _, second, _ = _made(tmp_path / "two")
    assert first.descriptor == second.descriptor
    assert first.diff_id == second.diff_id


def test_the_bytes_of_a_layer_are_these():
    """Whoever changes how layers are written changes every image: on purpose, or not at all."""
    content = io.BytesIO()
    made = Wrapped(content)
    made.write(b"a" * 70_000)
    made.end()
    assert gzip.decompress(content.getvalue()) == b"a" * 70_000
    assert digest_of(content.getvalue()) == (
        "sha256:e4d017f3b3b264417d0f6c39264a95d044f6fb1fa9268357dbf19a765bcc5dfb"
    )


def test_a_known_layer_has_its_known_digest(tmp_path):
    _, made, built = _made(tmp_path)
    assert made.diff_id == "sha256:9336b09485f47424f6654fbbba5d5604995ef6d900bcf02fb5499e2352b4128d"
    assert built.digest == "sha256:eb0b72b51501347d7f5c97922076857ee0f3b684c77790a32399fffe8451aedd"


def test_every_entry_has_one_owner_one_time_and_one_of_two_modes(tmp_path):
    layout, made, _ = _made(tmp_path, epoch=1_700_000_000)
    with tarfile.open(layout.path(made.descriptor.digest)) as tar:
        found = tar.getmembers()
    assert [each.name for each in found] == [
        "bin", "bin/again", "bin/run", "opt", "opt/a", "opt/a/c.py", "opt/b.py"
    ]  # fmt: skip
    assert {(each.uid, each.gid, each.uname, each.gname) for each in found} == {(0, 0, "", "")}
    assert {each.mtime for each in found} == {1_700_000_000}
    assert {each.mode for each in found if each.isfile()} == {0o644, 0o755}


def test_gzip_says_neither_name_nor_time_and_the_id_of_the_image_is_the_same(tmp_path):
    layout, packed, first = _made(tmp_path / "one", compress=True)
    _, _, second = _made(tmp_path / "two")
    content = layout.path(packed.descriptor.digest).read_bytes()
    assert len(content) < first.size
    assert content[3] == 0
    assert content[4:8] == bytes(4)
    assert first.digest != second.digest
    assert first.id == second.id


@pytest.mark.parametrize("path", ["/a/../b", "relative", "/", "/a/.wh.b", "/a\nb"])
def test_a_path_that_would_mean_something_else_is_refused(tmp_path, path):
    with pytest.raises(OciError):
        layer.write(Layout.create(tmp_path), {path: File(Held(b""))})


def test_an_altered_a_short_and_a_long_blob_are_refused(tmp_path):
    layout, made, built = _made(tmp_path)
    image.check(layout, built)
    path = layout.path(made.descriptor.digest)
    content = bytearray(path.read_bytes())
    for wrong in (bytes([content[0] ^ 1]) + content[1:], content[:-1], content + b"x"):
        path.chmod(0o644)
        path.write_bytes(wrong)
        with pytest.raises(OciError, match=r"altered|bytes"):
            image.check(layout, built)
    path.unlink()
    with pytest.raises(OciError, match="is not in"):
        image.check(layout, built)


def test_a_blob_that_is_a_link_is_not_followed(tmp_path):
    layout, made, built = _made(tmp_path / "layout")
    path = layout.path(made.descriptor.digest)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OciError, match="cannot be read"):
        image.check(layout, built)


def test_what_is_taken_in_stops_at_the_declared_size(tmp_path):
    layout = Layout.create(tmp_path)
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 1024

    with pytest.raises(OciError, match="more than"):
        layout.take(endless(), Descriptor(LAYER, digest_of(b"x" * 4096), 4096))
    assert asked == 5
    with pytest.raises(OciError, match="altered"):
        layout.take(iter([b"abc"]), Descriptor(LAYER, digest_of(b"abd"), 3))
    assert [each.name for each in (tmp_path / "blobs" / "sha256").iterdir()] == []


def test_an_image_is_read_back_from_its_archive_with_what_is_attached(tmp_path):
    layout, _, built = _made(tmp_path / "from")
    about = attach(layout, built, b'{"a":1}', "application/vnd.cyclonedx+json")
    file = tmp_path / "image.tar"
    with file.open("wb") as out:
        archive.write(layout, [Item(built, "ntp/x", "1.0.0", [about])], out)
    other = Layout.create(tmp_path / "to")
    index = archive.take(file, other)
    other.write_index(index)
    found = image.choose(other, "1.0.0", architecture="amd64")
    image.check(other, found)
    assert found.digest == built.digest
    assert found.labels == {"a": "b"}
    assert [other.read(each.document) for each in attached(other, found, index)] == [b'{"a":1}']


def test_the_archive_is_what_docker_load_reads(tmp_path):
    layout, made, built = _made(tmp_path)
    out = io.BytesIO()
    archive.write(layout, [Item(built, "ntp/x", "1.0.0")], out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        (said,) = json.load(tar.extractfile("manifest.json"))
        assert said["RepoTags"] == ["ntp/x:1.0.0"]
        (named,) = json.load(tar.extractfile("index.json"))["manifests"]
        assert named["annotations"] == {
            "org.opencontainers.image.ref.name": "1.0.0",
            "io.containerd.image.name": "docker.io/ntp/x:1.0.0",
        }
        config = tar.extractfile(said["Config"]).read()
        assert digest_of(config) == built.id
        (blob,) = (tar.extractfile(each).read() for each in said["Layers"])
    unpacked = digest_of(gzip.decompress(blob))
    assert json.loads(config)["rootfs"]["diff_ids"] == [unpacked] == [made.diff_id]


def test_containerd_is_told_the_name_by_digest_and_the_host_that_is_in_a_name(tmp_path):
    layout, _, built = _made(tmp_path)
    out = io.BytesIO()
    items = [Item(built, "localhost/ntp/x", "1.0.0"), Item(built, "ntp/y", "2")]
    archive.write(layout, items, out, by_digest=True)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        listed = json.load(tar.extractfile("index.json"))["manifests"]
    assert [each["annotations"]["io.containerd.image.name"] for each in listed] == [
        "localhost/ntp/x:1.0.0",
        f"localhost/ntp/x@{built.digest}",
        "docker.io/ntp/y:2",
        f"docker.io/ntp/y@{built.digest}",
    ]
    assert {each["digest"] for each in listed} == {built.digest}


def test_an_archive_with_an_altered_blob_is_refused(tmp_path):
    layout, _, built = _made(tmp_path / "from")
    file = tmp_path / "image.tar"
    with file.open("wb") as out:
        archive.write(layout, [Item(built, "ntp/x", "1")], out)
    content = file.read_bytes()
    file.write_bytes(content.replace(b"c = 2\n", b"c = 3\n"))
    with pytest.raises(OciError, match="altered"):
        archive.take(file, Layout.create(tmp_path / "to"))


def test_what_names_itself_an_image_and_is_none_is_refused(tmp_path):
    layout, _, built = _made(tmp_path)
    manifest = layout.read_json(built.descriptor)
    config = dict(built.config)
    for change, words in (
        ({**manifest, "schemaVersion": 1}, "schema version"),
        (
            {**manifest, "layers": [{**manifest["layers"][0], "mediaType": "text/plain"}]},
            "not read",
        ),
        ({**manifest, "layers": []}, "knows 1 layers"),
        ({**manifest, "config": {**manifest["config"], "digest": "md5:1"}}, "only sha256"),
    ):
        content = dump(change)
        found = Descriptor(built.descriptor.media_type, digest_of(content), len(content))
        layout.take(iter([content]), found)
        with pytest.raises(OciError, match=words):
            image.read(layout, found)
    config["os"] = "windows"
    content = dump(config)
    layout.take(iter([content]), Descriptor("x/y", digest_of(content), len(content)))
    changed = dump({**manifest, "config": {**manifest["config"], "digest": digest_of(content), "size": len(content)}})  # fmt: skip
    found = Descriptor(built.descriptor.media_type, digest_of(changed), len(changed))
    layout.take(iter([changed]), found)
    with pytest.raises(OciError, match="not for linux"):
        image.read(layout, found)


def test_a_base_that_docker_pushed_becomes_part_of_an_oci_image(tmp_path):
    """Docker's own names of media types: the blobs are the same, and stay."""
    layout, made, built = _made(tmp_path)
    manifest = layout.read_json(built.descriptor)
    kinds = {"config": DOCKER_CONFIG, "layers": DOCKER_LAYER_GZIP}
    manifest["mediaType"] = DOCKER_MANIFEST
    manifest["config"]["mediaType"] = kinds["config"]
    manifest["layers"][0]["mediaType"] = kinds["layers"]
    base = image.read(layout, layout.put_json(manifest, DOCKER_MANIFEST))
    top = layer.write(layout, {"/plugin/x.py": File(Held(b"x = 1\n"))})
    found = image.build(layout, base=base, layers=[top], settings={}, annotations={}, architecture="amd64")  # fmt: skip
    said = layout.read_json(found.descriptor)
    assert {each["mediaType"] for each in said["layers"]} == {LAYER_GZIP}
    assert said["config"]["mediaType"] == CONFIG
    assert [each["digest"] for each in said["layers"]] == [
        made.descriptor.digest,
        top.descriptor.digest,
    ]
    assert found.diff_ids == (made.diff_id, top.diff_id)


def test_digests_are_of_the_bytes(tmp_path):
    layout = Layout.create(tmp_path)
    found = layout.put(b"abc", LAYER)
    assert found.digest == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert layout.read(found) == b"abc"
