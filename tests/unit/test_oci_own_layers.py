"""What of an image is the plugin's own is taken out as strictly as it was packed, and nothing else is."""

import dataclasses
import gzip
import io
import shutil
import tarfile

import pytest

from ntp.contract import CONTRACT
from ntp.oci import own_layers
from ntp.oci.base_image import CODE, WHEELS_FOLDER
from ntp.oci.descriptor import LAYER, LAYER_GZIP
from ntp.oci.fault import OciError
from ntp.package.interpreter import platform_tag
from tests.worlds.packed import packed


def taken(tmp_path, layout, image):
    folder = tmp_path / "out"
    folder.mkdir()
    own_layers.take_out(layout, image.layers[-1], CODE, folder)
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


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
    found = own_layers.own_layers(image, "mine")
    assert (found.code, found.wheels) == (image.layers[-1], None)
    assert (found.python, found.contract) == (platform_tag(), CONTRACT)
    assert taken(tmp_path, layout, image) == {"mine.py": b"x = 1\n"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (("etc/passwd", tarfile.REGTYPE, b"x"), "'etc/passwd', which is not in /plugin"),
        (("plugins/x.py", tarfile.REGTYPE, b"x"), "which is not in /plugin"),
        (("plugin/../etc/x", tarfile.REGTYPE, b"x"), "leads out of the archive"),
        (("plugin/x.py", tarfile.SYMTYPE, b""), "is no regular file"),
        (("plugin", tarfile.REGTYPE, b"x"), "which is not in /plugin"),
    ],
)
def test_what_no_plugin_has_is_refused(tmp_path, entry, words):
    with pytest.raises(OciError, match=words):
        taken(tmp_path, *repacked(tmp_path, entry))


def test_a_layer_that_grows_beyond_a_plugin_is_refused(tmp_path):
    large = ("plugin/large.bin", tarfile.REGTYPE, bytes(own_layers.LIMITS[CODE].total + 1))
    layout, image = repacked(tmp_path, large)
    assert image.layers[-1].size < own_layers.LIMITS[CODE].total / 100
    with pytest.raises(OciError, match="more than 8,000 files, or 128 MiB unpacked"):
        taken(tmp_path, layout, image)


def test_wheels_have_a_limit_of_their_own_that_is_said_before_they_fill_the_disk(tmp_path):
    layout, _, _ = packed(tmp_path / "layout")
    member = tarfile.TarInfo("opt/ntp/wheels/large.so")
    member.size = own_layers.LIMITS[WHEELS_FOLDER].total
    fits = member.tobuf()
    member.size += 1
    folder = tmp_path / "out"
    for header, words in (
        (fits, "ends within a file|cut off"),
        (member.tobuf(), "for /opt/ntp/wheels has more than 50,000 files, or 2,048 MiB unpacked"),
    ):
        folder.mkdir(exist_ok=True)
        with pytest.raises(OciError, match=words) as refused:
            own_layers.take_out(layout, layout.put(header, LAYER), WHEELS_FOLDER, folder)
        assert sum(each.stat().st_size for each in folder.rglob("*")) < 1024**2
    assert "NTP_RUNTIME=docker" in refused.value.fix


def test_what_was_altered_or_is_no_gzip_is_refused(tmp_path):
    layout, _, image = packed(tmp_path / "layout")
    path = layout.path(image.layers[-1].digest)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(OciError, match="altered"):
        taken(tmp_path, layout, image)
    last = layout.put(b"no gzip", LAYER_GZIP)
    with pytest.raises(OciError, match="cannot be unpacked"):
        own_layers.take_out(layout, last, CODE, tmp_path / "other")


def test_a_file_where_a_folder_is_ends_it(tmp_path):
    twice = [("plugin/a", tarfile.REGTYPE, b"x"), ("plugin/a/b", tarfile.REGTYPE, b"y")]
    with pytest.raises(OciError, match="a file where it has a folder"):
        taken(tmp_path, *repacked(tmp_path, *twice))
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    with pytest.raises(OciError, match="a file where it has a folder"):
        taken(tmp_path, *repacked(tmp_path, *reversed(twice)))


def test_a_layer_that_somebody_has_unpacked_is_read_as_it_is(tmp_path):
    layout, _, image = packed(tmp_path / "layout")
    with gzip.open(layout.path(image.layers[-1].digest)) as tar:
        plain = layout.put(tar.read(), LAYER)
    image = dataclasses.replace(image, layers=(*image.layers[:-1], plain))
    assert taken(tmp_path, layout, image) == {"mine.py": b"x = 1\n"}


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {own_layers.LAYERS: "["},
        {own_layers.LAYERS: '{"code": 1}'},
        {own_layers.LAYERS: '{"wheels": "x"}'},
        {own_layers.LAYERS: '{"code": "sha256:0"}'},
    ],
)
def test_an_image_that_is_not_as_ours_are_is_run_whole_or_not_at_all(tmp_path, labels):
    layout, _, image = packed(tmp_path / "layout")
    settings = {**image.config["config"], "Labels": labels}
    other = dataclasses.replace(image, config={**image.config, "config": settings})
    with pytest.raises(OciError, match=r"mine is not as .* it can only be run whole") as refused:
        own_layers.own_layers(other, "mine")
    assert "Docker" in refused.value.fix
    # Built upon: the label is there, and another layer on top.
    assert layout.has(image.layers[-1])
    rootfs = {**image.config["rootfs"], "diff_ids": [*image.diff_ids, image.diff_ids[0]]}
    on_top = dataclasses.replace(image, config={**image.config, "rootfs": rootfs})
    with pytest.raises(OciError, match="run whole"):
        own_layers.own_layers(on_top, "mine")
