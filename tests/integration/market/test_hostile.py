"""A registry that lies and archives that are traps: refused with a reason, and nothing is left of them."""

import base64
import io
import json
import re
import tarfile

import pytest

from ntp.oci import artifact, reference, source
from ntp.oci.descriptor import LAYER, MANIFEST, describe, digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.layout import MARK, Layout
from ntp.oci.market import admission, place
from ntp.oci.market.catalogue import Catalogue, Entry, Publisher, Release
from ntp.oci.registry import MAX_ATTACHED, Registry
from ntp.oci.signing import signature
from tests.worlds.lying_registry import lying
from tests.worlds.marketplace import NOW
from tests.worlds.signed import signed, signer

AT = "desk/my-strategy"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    by = signer(folder)
    return by, signed(folder / "layout", by), signed(folder / "other", by, code=b"x = 2\n")


@pytest.fixture
def liar(made):
    _, found, _ = made
    with lying() as there:
        there.have(AT, "1.0.0", found.layout, found.image, found.attachments)
        yield there


@pytest.fixture
def look(made, liar, tmp_path):
    by, found, _ = made
    release = Release(found.image.digest, found.image.size, NOW)
    catalogue = Catalogue(
        publishers={by.public.fingerprint: Publisher(by.public.pem.decode(), ["my_strategy"])},
        plugins={"my_strategy": Entry("strategy", "", "", "1.0.0", {"1.0.0": release})},
    )
    config = tmp_path / "config.json"
    pair = base64.b64encode(b"trader:correct horse").decode()
    config.write_text(json.dumps({"auths": {liar.host: {"auth": pair}}}))

    def run():
        there = place.at(f"{liar.host}/desk", {"REGISTRY_AUTH_FILE": str(config)})
        into = Layout.create(tmp_path / "into")
        try:
            seen = admission.look(there, catalogue, "my_strategy", "1.0.0", into)
            admission.fetch(there, seen, into, lambda _: None)
        finally:
            there.close()
        return seen

    return run


def test_what_it_says_is_taken_while_it_is_true(look, made):
    assert look().key == made[0].public


def test_documents_of_another_image_or_none_count_for_nothing(look, liar, made):
    _, found, other = made
    for each in other.attachments:
        digest = each.descriptor.digest
        liar.say(f"/v2/{AT}/manifests/{digest}", other.layout.read(each.descriptor), MANIFEST)
        for blob in (each.document, each.config):
            liar.say(f"/v2/{AT}/blobs/{blob.digest}", other.layout.read(blob))
    liar.list(AT, found.image, [each.descriptor.to_json() for each in other.attachments])
    with pytest.raises(OciError, match="has no signature"):
        look()
    liar.list(AT, found.image, [])
    with pytest.raises(OciError, match="has no signature"):
        look()


def test_a_signature_that_is_hidden_and_one_that_is_exchanged_are_refused(look, liar, made):
    _, found, _ = made
    (mine,) = [each for each in found.attachments if signature.is_signature(each)]
    others = [each.descriptor.to_json() for each in found.attachments if each is not mine]
    liar.list(AT, found.image, others)
    with pytest.raises(OciError, match="has no signature"):
        look()
    liar.list(AT, found.image, [mine.descriptor.to_json()])
    with pytest.raises(OciError, match="that is not attached to it"):
        look()


def test_more_than_may_be_attached_is_not_fetched(look, liar, made):
    _, found, _ = made
    (mine,) = [each for each in found.attachments if signature.is_signature(each)]
    listed = [each.descriptor.to_json() for each in found.attachments]
    large = []
    for number in range(MAX_ATTACHED // (4 * 1024**2) + 1):
        manifest = json.loads(found.layout.read(mine.descriptor))
        blob = {**manifest["layers"][0], "digest": digest_of(b"%d" % number), "size": 4 * 1024**2}
        content = dump({**manifest, "layers": [blob]})
        liar.say(f"/v2/{AT}/manifests/{digest_of(content)}", content, MANIFEST)
        zeros = bytes(4 * 1024**2)
        blob["digest"] = digest_of(zeros)
        content = dump({**manifest, "layers": [blob], "annotations": {"n": str(number)}})
        liar.say(f"/v2/{AT}/manifests/{digest_of(content)}", content, MANIFEST)
        liar.say(f"/v2/{AT}/blobs/{blob['digest']}", zeros)
        large.append(describe(content, MANIFEST).to_json())
    liar.list(AT, found.image, [*listed, *large])
    with pytest.raises(OciError, match="bytes attached"):
        look()
    liar.list(AT, found.image, listed * 300)
    with pytest.raises(OciError, match="the list of referrers"):
        look()


def _config_that_is_a_layer(manifest):
    """It says that it is as large as a layer may be; nobody who believes it would see its end."""
    config = {**manifest["config"], "mediaType": LAYER, "size": 4 * 1024**3}
    return dump({**manifest, "config": config}), f"blobs/{config['digest']}"


def test_a_config_is_no_larger_than_a_document_whatever_its_type(liar, made, tmp_path):
    """Nothing was verified yet when it is fetched: it may not fill the disk."""
    _, found, _ = made
    there = place.at(f"{liar.host}/desk", {})
    listed = artifact.write(Layout.create(tmp_path / "c"), place.KIND, {"catalogue.json": b"{}"})
    layout = Layout.open(tmp_path / "c")
    catalogue, blob = _config_that_is_a_layer(json.loads(layout.read(listed.descriptor)))
    liar.say("/v2/desk/ntp-catalogue/manifests/latest", catalogue, MANIFEST)
    with pytest.raises(OciError, match=f"has the config {re.escape(LAYER)}"):
        there.catalogue()
    assert not any(path.endswith(blob) for path, _ in liar.asked)

    manifest, blob = _config_that_is_a_layer(json.loads(found.layout.read(found.image.descriptor)))
    liar.say(f"/v2/{AT}/manifests/2.0.0", manifest, MANIFEST)
    wanted = reference.parse(f"{liar.host}/{AT}:2.0.0")
    registry = Registry(liar.host)
    with pytest.raises(OciError, match="has 4,294,967,296 bytes"):
        registry.pull_manifest(wanted, layout, architecture=source.architecture())
    registry.close()
    assert not any(path.endswith(blob) for path, _ in liar.asked)
    there.close()


def test_manifests_count_for_what_may_be_attached(look, liar, made):
    _, found, _ = made
    (mine,) = [each for each in found.attachments if signature.is_signature(each)]
    manifest = json.loads(found.layout.read(mine.descriptor))
    large = []
    for number in range(MAX_ATTACHED // (3 * 1024**2) + 1):
        padded = dump({**manifest, "annotations": {"n": str(number), "x": "y" * 3 * 1024**2}})
        liar.say(f"/v2/{AT}/manifests/{digest_of(padded)}", padded, MANIFEST)
        large.append(describe(padded, MANIFEST).to_json())
    liar.list(AT, found.image, large)
    with pytest.raises(OciError, match="bytes attached"):
        look()


def test_a_password_is_not_sent_to_where_a_blob_is_led(look, liar, made):
    _, found, _ = made
    layer = found.image.layers[-1]
    path = f"/v2/{AT}/blobs/{layer.digest}"
    with lying() as elsewhere:
        content = found.layout.read(layer)
        elsewhere.say("/blob", content)
        liar.say(path, b"", status=307, Location=f"http://{elsewhere.host}/blob")
        liar.wants_password = True
        look()
        (led,) = [headers for asked, headers in liar.asked if asked == path]
        assert led["Authorization"].startswith("Basic ")
        assert [path for path, _ in elsewhere.asked] == ["/blob"]
        assert not any("Authorization" in headers for _, headers in elsewhere.asked)


def test_what_a_blob_is_led_to_is_compared_all_the_same(look, liar, made):
    _, found, _ = made
    layer = found.image.layers[-1]
    with lying() as elsewhere:
        elsewhere.say("/blob", found.layout.read(layer) + b"x")
        path = f"/v2/{AT}/blobs/{layer.digest}"
        liar.say(path, b"", status=307, Location=f"http://{elsewhere.host}/blob")
        with pytest.raises(OciError, match="more than its"):
            look()


def test_a_blob_that_is_led_round_and_round_ends(look, liar, made):
    _, found, _ = made
    path = f"/v2/{AT}/blobs/{found.image.layers[-1].digest}"
    liar.say(path, b"", status=307, Location=f"http://{liar.host}{path}")
    with pytest.raises(OciError, match=r"does not answer: .*redirect"):
        look()


def test_a_manifest_that_two_readers_differ_over_is_refused(look, liar, made):
    _, found, _ = made
    content = found.layout.read(found.image.descriptor)
    twice = b'{"layers":[],' + content[1:]
    liar.say(f"/v2/{AT}/manifests/1.0.0", twice, MANIFEST)
    with pytest.raises(OciError, match="was moved"):
        look()
    layout = found.layout
    assert digest_of(layout.read(found.image.descriptor)) == found.image.digest


def _tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _member(name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def _huge():
    info = tarfile.TarInfo("blobs/sha256/" + "0" * 64)
    info.size = 9 * 1024**3
    return info.tobuf()


EMPTY_INDEX = dump({"schemaVersion": 2, "manifests": []})
TRAPS = {
    "nothing": (b"", "cut off"),
    "zeros": (bytes(10240), "is no OCI archive"),
    "text": (b"#!/bin/sh\n" * 100, "header|no tar|checksum"),
    "up": (_tar(_member("../../../tmp/x", b"x")), "path|leads|'\\.\\.'|out"),
    "absolute": (_tar(_member("/etc/cron.d/x", b"x")), "path|leads|out"),
    "link": (_tar(_member("blobs", type=tarfile.SYMTYPE, linkname="/etc")), "no regular file"),
    "hard link": (_tar(_member("x", type=tarfile.LNKTYPE, linkname="/etc/passwd")), "no regular"),
    "device": (_tar(_member("x", type=tarfile.CHRTYPE, devmajor=1, devminor=3)), "no regular file"),
    "twice": (_tar(_member("oci-layout", MARK), _member("oci-layout", b"{}")), "twice|already"),
    "huge": (_huge(), "more than|bytes"),
    "other bytes": (_tar(_member("blobs/sha256/" + "0" * 64, b"x")), "was altered"),
    "no digest": (_tar(_member("blobs/sha256/../x", b"x")), "path|digest|leads|out"),
    "deep": (_tar(_member("index.json", b"[" * 100_000), _member("oci-layout", MARK)), "no JSON"),
    "no image": (_tar(_member("index.json", EMPTY_INDEX), _member("oci-layout", MARK)), "no image"),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_an_archive_that_is_a_trap_is_refused_and_leaves_nothing(trap, tmp_path):
    content, words = TRAPS[trap]
    file = tmp_path / "x.tar"
    file.write_bytes(content)
    into = Layout.create(tmp_path / "in" / "layout")
    with pytest.raises(OciError, match=words):
        admission.from_file(file, into, lambda _: None)
    assert {path.name for path in tmp_path.iterdir()} == {"x.tar", "in"}
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"layout"}
    assert list((into.root / "blobs" / "sha256").iterdir()) == []
