"""A signature over an image and its documents: Sigstore's own verifier takes it, and what was altered is refused."""

import base64
import json
from dataclasses import replace

import pytest

from ntp.oci import report
from ntp.oci.descriptor import digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.referrer import attach, attached
from ntp.oci.signing import bundle, signature
from ntp.oci.signing.statement import PREDICATE
from tests.worlds import sigstore
from tests.worlds.signed import SAID, signed, signer

NAME = SAID["name"]


def _trusting(*keys):
    return {key.hint: key for key in keys}.get


def _bundle(found):
    (mine,) = [each for each in found.attachments if signature.is_signature(each)]
    return json.loads(found.layout.read(mine.document))


def _with(found, document):
    """The attachments with another bundle in place of the one that was signed."""
    others = tuple(each for each in found.attachments if not signature.is_signature(each))
    return (*others, attach(found.layout, found.image, dump(document), bundle.MEDIA_TYPE))


def _verify(found, attachments, *keys):
    return signature.verify(found.layout, found.image, attachments, _trusting(*keys), name=NAME)


@pytest.fixture(scope="module", params=["ecdsa-p256", "ed25519"])
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signed")
    by = signer(folder / "config", algorithm=request.param)
    return signed(folder / "layout", by), by


def test_sigstores_own_verifier_takes_it_and_refuses_one_bit_less(world, tmp_path):
    found, by = world
    document = _bundle(found)
    run = sigstore.verify(tmp_path / "good", dump(document), by.public.pem)
    assert run.returncode == 0, run.stderr
    statement = json.loads(run.stdout)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == PREDICATE
    first, *others = statement["subject"]
    assert first["name"] == NAME
    assert f"sha256:{first['digest']['sha256']}" == found.image.digest
    assert {each["mediaType"] for each in others} == {
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
        report.MEDIA_TYPE,
    }

    other = signer(tmp_path / "config", "other")
    assert sigstore.verify(tmp_path / "key", dump(document), other.public.pem).returncode == 1
    envelope = document["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"]).replace(first["digest"]["sha256"].encode(), b"0" * 64)  # fmt: skip
    envelope["payload"] = base64.b64encode(payload).decode()
    run = sigstore.verify(tmp_path / "bad", dump(document), by.public.pem)
    assert run.returncode == 1
    assert b"signature verification failed" in run.stderr.lower()


def test_what_was_signed_is_verified_with_every_document(world):
    found, by = world
    verified = _verify(found, found.attachments, by.public)
    assert verified.key == by.public
    kinds = {each.document.media_type for each in verified.documents}
    assert kinds == {
        "application/vnd.cyclonedx+json", "application/vnd.in-toto+json", report.MEDIA_TYPE
    }  # fmt: skip
    # What somebody else attached is not what was signed.
    more = attach(found.layout, found.image, b"{}", report.MEDIA_TYPE)
    again = _verify(found, (*found.attachments, more), by.public)
    assert more.document not in [each.document for each in again.documents]


def test_without_a_signature_or_of_a_stranger_it_is_refused(world, tmp_path):
    found, _ = world
    unsigned = tuple(each for each in found.attachments if not signature.is_signature(each))
    with pytest.raises(OciError, match="has no signature") as refused:
        _verify(found, unsigned)
    assert refused.value.reason == "Unsigned"
    other = signer(tmp_path / "config", "other")
    with pytest.raises(OciError, match="is not trusted here") as refused:
        _verify(found, found.attachments, other.public)
    assert refused.value.reason == "KeyNotTrusted"


def test_a_trusted_name_over_a_strangers_signature_is_a_forgery(world, tmp_path):
    found, by = world
    other = signer(tmp_path / "config", "other")
    forged = _bundle(found)
    payload = base64.b64decode(forged["dsseEnvelope"]["payload"])
    theirs = other.sign(bundle.pre_authentication(payload))
    forged["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(theirs).decode()
    with pytest.raises(OciError, match="the signature is not one of SHA256:"):
        _verify(found, _with(found, forged), by.public)


def test_a_signature_of_another_image_name_or_with_less_is_refused(world, tmp_path):
    found, by = world
    other = signed(tmp_path / "other", by, code=b"x = 2\n")
    theirs = _bundle(other)
    with pytest.raises(OciError, match=f"the signature is over {other.image.digest}"):
        _verify(found, _with(found, theirs), by.public)
    renamed = signature.sign(found.layout, found.image, "other_name", found.attachments, by)
    with pytest.raises(OciError, match="is for 'other_name'"):
        _verify(found, (renamed,), by.public)
    less = [each for each in found.attachments if each.document.media_type != report.MEDIA_TYPE]
    with pytest.raises(OciError, match=r"was signed with .* that is not attached to it"):
        _verify(found, less, by.public)


def test_a_document_whose_bytes_were_changed_is_refused(tmp_path):
    by = signer(tmp_path / "config")
    found = signed(tmp_path / "layout", by)
    (mine,) = [each for each in found.attachments if each.document.media_type == report.MEDIA_TYPE]
    path = found.layout.path(mine.document.digest)
    path.chmod(0o644)
    path.write_bytes(b'{"signals": 99}')
    with pytest.raises(OciError, match="was altered"):
        _verify(found, found.attachments, by.public)


def _no_key(document):
    document["verificationMaterial"] = {"certificate": {"rawBytes": ""}}


def _two(document):
    document["dsseEnvelope"]["signatures"] *= 2


def _type(document):
    document["dsseEnvelope"]["payloadType"] = "text/plain"


def _version(document):
    document["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"


def _no_base64(document):
    document["dsseEnvelope"]["payload"] += "\n*"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_no_key, "does not say which key"),
        (_two, "not one signature"),
        (_type, "no envelope"),
        (_version, "is read"),
        (_no_base64, "no base64"),
    ],
)
def test_what_is_no_such_bundle_is_refused(world, spoil, words):
    found, by = world
    document = _bundle(found)
    spoil(document)
    with pytest.raises(OciError, match=words):
        _verify(found, _with(found, document), by.public)


def _forged(document):
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(b"0" * 64).decode()


def _of_another_image(document):
    document["dsseEnvelope"]["payload"] = base64.b64encode(b"{}").decode()


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("spoil", [_no_key, _two, _type, _version, _forged, _of_another_image])
def test_what_a_stranger_attaches_beside_it_counts_for_nothing(world, spoil, first):
    found, by = world
    document = _bundle(found)
    spoil(document)
    junk = attach(found.layout, found.image, dump(document), bundle.MEDIA_TYPE)
    several = (junk, *found.attachments) if first else (*found.attachments, junk)
    assert _verify(found, several, by.public).key == by.public


def test_neither_a_signature_of_another_image_nor_many_of_strangers_are_in_the_way(world, tmp_path):
    found, by = world
    other = signed(tmp_path / "other", by, code=b"x = 2\n")
    moved = attach(found.layout, found.image, dump(_bundle(other)), bundle.MEDIA_TYPE)
    junk = [
        attach(found.layout, found.image, b'{"n": %d}' % number, bundle.MEDIA_TYPE)
        for number in range(20)
    ]
    (mine,) = [each for each in found.attachments if each.document.media_type == report.MEDIA_TYPE]
    same = attach(found.layout, found.image, found.layout.read(mine.document), "text/plain")
    every = (moved, *junk, *found.attachments, same)
    assert _verify(found, every, by.public).key == by.public
    stranger = signer(tmp_path / "config", "stranger")
    with pytest.raises(OciError, match="is not trusted here"):
        _verify(found, (*junk, *found.attachments), stranger.public)


def test_a_key_that_was_revoked_is_told_unless_another_one_signed_too(world, tmp_path):
    found, by = world
    old = signer(tmp_path / "config", "old")
    theirs = signature.sign(found.layout, found.image, NAME, found.attachments, old)

    def trusted(hint):
        if hint == old.public.hint:
            raise OciError("which was revoked", reason="KeyRevoked")
        return _trusting(by.public)(hint)

    several = (theirs, *found.attachments)
    assert signature.verify(found.layout, found.image, several, trusted, name=NAME).key == by.public
    alone = [each for each in several if not signature.is_signature(each) or each is theirs]
    with pytest.raises(OciError, match="was revoked"):
        signature.verify(found.layout, found.image, alone, trusted, name=NAME)


def test_an_attachment_with_several_files_is_passed_over(world):
    found, _ = world
    mine = found.attachments[0]
    manifest = json.loads(found.layout.read(mine.descriptor))
    manifest["layers"] *= 2
    plain = found.layout.put_json(manifest, mine.descriptor.media_type)
    strange = replace(mine.descriptor, digest=plain.digest, size=plain.size)
    among = [strange, *(each.descriptor for each in found.attachments)]
    assert attached(found.layout, found.image, among) == found.attachments


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"mediaType": "a", "mediaType": "b"}', "there twice"),
        (b'{"mediaType": NaN}', "no number"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b" " * (bundle.MAX_BUNDLE + 1), "more than"),
    ],
)
def test_json_that_readers_may_differ_over_is_refused(content, words):
    with pytest.raises(OciError, match=words):
        bundle.read(content, "it")


def test_a_signature_is_the_same_bytes_again(world):
    found, by = world
    again = signature.sign(found.layout, found.image, NAME, found.attachments, by)
    assert again.document.digest == digest_of(dump(_bundle(found)))
    assert attached(found.layout, found.image, [again.descriptor]) == (again,)
