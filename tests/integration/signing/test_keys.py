"""`ntp keys`: what lies on disk, who may read it, and what a key that was revoked still does."""

import base64
import hashlib
import json
import stat

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ntp.cli import main
from ntp.oci.fault import OciError
from ntp.oci.signing import key as keys
from ntp.oci.signing.keyring import Keyring


@pytest.fixture
def run(tmp_path):
    def typed(*arguments, code=0, stdin="", **environment):
        found = CliRunner().invoke(
            main,
            ["keys", *arguments],
            env={"NTP_CONFIG": str(tmp_path / "config"), "NTP_KEY_PASSPHRASE": None, **environment},
            input=stdin,
            catch_exceptions=False,
        )
        assert found.exit_code == code, found.output
        return found

    return typed


def test_a_key_is_made_listed_and_exported_with_one_fingerprint(run, tmp_path):
    made = json.loads(run("create", "me", "--output", "json").stdout)
    (listed,) = json.loads(run("list", "--output", "json").stdout)["keys"]
    assert listed == made
    pem = run("export", "me").stdout.encode()
    load_pem_public_key(pem)
    der = base64.b64decode("".join(pem.decode().splitlines()[1:-1]))
    fingerprint = f"SHA256:{base64.b64encode(hashlib.sha256(der).digest()).decode()}"
    assert made["fingerprint"] == fingerprint
    assert fingerprint in run("list").stdout
    out = tmp_path / "me.pub"
    run("export", "me", "-o", str(out))
    assert out.read_bytes() == pem
    folder = tmp_path / "config" / "keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_key_is_never_overwritten(run):
    before = run("export", "me", code=5).stdout, run("create", "me").stdout
    assert "there is a key 'me' already" in run("create", "me", code=5).stderr
    assert before[1].split()[-1] in run("list").stdout


@pytest.mark.parametrize("name", ["../me", "Me", "a" * 41, "me\n", ""])
def test_a_name_is_no_path(run, name):
    assert "is no name of a key" in run("create", name, code=5).stderr


def test_a_passphrase_is_needed_to_sign_and_not_to_look(run, tmp_path):
    secret = {"NTP_KEY_PASSPHRASE": "correct horse"}
    assert "no passphrase was given" in run("create", "me", "--passphrase", code=2).output
    run("create", "me", "--passphrase", **secret)
    run("list")
    ring = Keyring(tmp_path / "config")
    assert b"ENCRYPTED" in (ring.root / "me.key").read_bytes()
    for wrong, words in ((None, "has a passphrase"), (b"battery", "the passphrase is another")):
        with pytest.raises(OciError, match=words):
            ring.signer("me", wrong)
    signer = ring.signer("me", b"correct horse")
    assert signer.public.verifies(signer.sign(b"x"), b"x")
    assert not signer.public.verifies(signer.sign(b"x"), b"y")


def test_a_key_that_others_may_read_or_of_another_pair_signs_nothing(run, tmp_path):
    run("create", "me")
    run("create", "other")
    ring = Keyring(tmp_path / "config")
    (ring.root / "me.key").chmod(0o640)
    with pytest.raises(OciError, match="may be read by others"):
        ring.signer("me", None)
    (ring.root / "me.key").chmod(0o600)
    (ring.root / "me.pub").write_bytes((ring.root / "other.pub").read_bytes())
    with pytest.raises(OciError, match="are not of one key"):
        ring.signer("me", None)


def test_a_revoked_key_signs_nothing_and_keeps_its_time_and_reason(run, tmp_path):
    run("create", "me")
    told = json.loads(run("revoke", "me", "--reason", "stolen", "--output", "json").stdout)
    assert told["reason"] == "stolen"
    again = json.loads(run("revoke", "me", "--reason", "other", "--output", "json").stdout)
    assert again == told
    with pytest.raises(OciError, match="was revoked"):
        Keyring(tmp_path / "config").signer("me", None)
    assert "revoked" in run("list").stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no public key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\n", "is a private key"),
        (b"x" * 9000, "more than"),
    ],
)
def test_what_is_no_public_key_is_refused(content, words):
    with pytest.raises(OciError, match=words):
        keys.read_pem(content, "it")


def test_other_curves_are_refused():
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = (
        ec.generate_private_key(ec.SECP384R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(OciError, match="neither an ECDSA P-256 nor"):
        keys.read_pem(pem, "it")
