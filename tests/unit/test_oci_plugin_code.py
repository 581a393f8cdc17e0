"""The code of a plugin is read out of its image as strictly as it was packed, and nothing else is."""

import dataclasses
import gzip
import io
import tarfile

import pytest

from ntp.oci import plugin_code
from ntp.oci.descriptor import LAYER_GZIP
from ntp.oci.fault import OciError
from tests.worlds.packed import packed


def repacked(tmp_path, *entries):
    """An image whose last layer somebody wrote by hand."""
    layout, _, image = packed(tmp_path / "layout")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, content in entries:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(content)
            member.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            tar.addfile(member, io.BytesIO(content))
    last = layout.put(gzip.compress(out.getvalue()), LAYER_GZIP)
    return layout, dataclasses.replace(image, layers=(*image.layers[:-1], last))


def test_what_was_packed_comes_out_without_what_python_compiled(tmp_path):
    layout, _, image = packed(tmp_path / "layout")
    with gzip.open(layout.path(image.layers[-1].digest)) as tar:
        assert b"__pycache__" in tar.read()
    assert plugin_code.code(layout, image) == {"mine.py": b"x = 1\n"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (("etc/passwd", tarfile.REGTYPE, b"x"), "'etc/passwd', which is not in /plugin"),
        (("plugins/x.py", tarfile.REGTYPE, b"x"), "which is not in /plugin"),
        (("plugin/../etc/x", tarfile.REGTYPE, b"x"), "leads out of the archive"),
        (("plugin/x.py", tarfile.SYMTYPE, b""), "is no regular file"),
    ],
)
def test_what_no_plugin_has_is_refused(tmp_path, entry, words):
    with pytest.raises(OciError, match=words):
        plugin_code.code(*repacked(tmp_path, entry))


def test_a_layer_that_grows_beyond_a_plugin_is_refused(tmp_path):
    large = ("plugin/large.bin", tarfile.REGTYPE, bytes(plugin_code._LIMITS.total + 1))
    layout, image = repacked(tmp_path, large)
    assert image.layers[-1].size < plugin_code._LIMITS.total / 100
    with pytest.raises(OciError, match="bytes"):
        plugin_code.code(layout, image)


def test_what_was_altered_or_is_no_gzip_is_refused(tmp_path):
    layout, _, image = packed(tmp_path / "layout")
    path = layout.path(image.layers[-1].digest)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(OciError, match="altered"):
        plugin_code.code(layout, image)
    last = layout.put(b"no gzip", LAYER_GZIP)
    with pytest.raises(OciError, match="cannot be unpacked"):
        plugin_code.code(layout, dataclasses.replace(image, layers=(last,)))
