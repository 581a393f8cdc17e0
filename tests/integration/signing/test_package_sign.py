"""`ntp plugin package --sign --report`: one file with all that is signed, and what cannot be signed says why."""

import json

import pytest
from click.testing import CliRunner

from ntp.cli import main
from ntp.oci import archive, image, report
from ntp.oci.layout import Layout
from ntp.oci.referrer import attached
from ntp.oci.signing import signature
from ntp.oci.signing.keyring import Keyring
from tests.worlds import base_image, sigstore

MANIFEST = "name: mine\nversion: 1.2.0\nkind: strategy\nentrypoint: mine:Mine\n"


@pytest.fixture
def run(tmp_path):
    base_image.make(tmp_path / "base")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "plugin.yaml").write_text(MANIFEST)
    (folder / "mine.py").write_text("x = 1\n")
    (tmp_path / "report.json").write_bytes(b'{"signals": 3}')
    Keyring(tmp_path / "config").create("me", algorithm="ecdsa-p256", passphrase=None)

    def typed(*arguments, code=0, base=None):
        found = CliRunner().invoke(
            main,
            ["plugin", "package", str(folder), "-o", str(tmp_path / "x.tar"), *map(str, arguments)],
            env={
                "NTP_CONFIG": str(tmp_path / "config"),
                "NTP_BASE": str(base or tmp_path / "base"),
                "NTP_KEY_PASSPHRASE": None,
            },
            catch_exceptions=False,
        )
        assert found.exit_code == code, found.output
        return found

    return typed


def _read(file, folder):
    layout = Layout.create(folder)
    index = archive.take(file, layout)
    found = image.choose_from(layout, index, None, architecture="amd64", shown=str(file))
    return layout, found, attached(layout, found, index)


def test_the_file_has_image_documents_and_signature_and_is_the_same_again(run, tmp_path):
    told = json.loads(run("--report", tmp_path / "report.json", "--sign", "me", "--output", "json").stdout)  # fmt: skip
    first = (tmp_path / "x.tar").read_bytes()
    layout, found, attachments = _read(tmp_path / "x.tar", tmp_path / "read")
    public = Keyring(tmp_path / "config").get("me").public
    assert told["signer"] == public.fingerprint
    verified = signature.verify(layout, found, attachments, lambda _: public, name="mine")
    kinds = {each.document.media_type: each.document for each in verified.documents}
    assert layout.read(kinds[report.MEDIA_TYPE]) == b'{"signals": 3}'
    assert len(kinds) == 3
    (mine,) = [each for each in attachments if signature.is_signature(each)]
    run_ = sigstore.verify(tmp_path / "ask", layout.read(mine.document), public.pem)
    assert run_.returncode == 0, run_.stderr
    run("--report", tmp_path / "report.json", "--sign", "me")
    assert (tmp_path / "x.tar").read_bytes() == first


def test_what_cannot_be_signed_or_attached_says_why(run, tmp_path):
    assert "there is no key 'nobody'" in run("--sign", "nobody", code=5).stderr
    (tmp_path / "bad.json").write_text("{")
    assert "is no JSON" in run("--report", tmp_path / "bad.json", code=5).stderr
    Keyring(tmp_path / "config").revoke("me", "")
    assert "was revoked" in run("--sign", "me", code=5).stderr
    assert not (tmp_path / "x.tar").exists()
