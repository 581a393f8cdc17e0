"""The strict reader: what an attacker's archive may hold is refused before a byte of it is used."""

import io
import tarfile

import pytest

from ntp.oci.fault import OciError
from ntp.oci.untar import Limits, members


def _tar(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, content in entries:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out


def _file(name, content=b"x", **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def _all(stream, limits=None):
    return {member.path: part.read() for member, part in members(stream, limits)}


def test_files_are_read_and_folders_passed_over():
    long = "f/" * 20 + "n" * 90
    found = _all(
        _tar(_file("./a", b"1"), _file("d", b"", type=tarfile.DIRTYPE), _file(long, b"22"))
    )
    assert found == {"a": b"1", long: b"22"}


def test_contents_may_be_left_unread():
    stream = _tar(_file("a", b"1" * 2000), _file("b", b"2"))
    assert [member.path for member, _ in members(stream)] == ["a", "b"]


@pytest.mark.parametrize(
    "entry",
    [
        _file("l", b"", type=tarfile.SYMTYPE, linkname="/etc"),
        _file("l", b"", type=tarfile.LNKTYPE, linkname="a"),
        _file("d", b"", type=tarfile.CHRTYPE),
        _file("p", b"", type=tarfile.FIFOTYPE),
        _file("../out"),
        _file("a/../../out"),
        _file("/etc/passwd"),
        _file("a\\b"),
        _file("a\nb"),
        _file("deep/" * 40 + "x"),
    ],
    ids=lambda entry: f"{entry[0].name[:12]!r}-{entry[0].type!r}",
)
def test_links_devices_and_paths_that_lead_out_are_refused(entry):
    with pytest.raises(OciError):
        _all(_tar(entry))


def test_a_name_that_comes_twice_is_refused():
    with pytest.raises(OciError, match="twice"):
        _all(_tar(_file("a"), _file("./a")))


def test_counts_and_sizes_are_bounded():
    many = _tar(*(_file(f"f{number}") for number in range(5)))
    with pytest.raises(OciError, match="more than 4 files"):
        _all(many, Limits(files=4))
    with pytest.raises(OciError, match="more than"):
        _all(_tar(_file("a", b"x" * 100)), Limits(total=99))


def test_a_cut_and_a_damaged_archive_are_refused():
    whole = _tar(_file("a", b"x" * 3000)).getvalue()
    for wrong in (whole[:1000], whole[:100], b"\x01" + whole[1:], b"no tar at all" * 100):
        with pytest.raises(OciError):
            _all(io.BytesIO(wrong))


def test_a_header_with_one_wrong_byte_is_refused():
    whole = bytearray(_tar(_file("a", b"x")).getvalue())
    whole[140] ^= 1  # of the time, which nobody reads
    with pytest.raises(OciError, match="checksum"):
        _all(io.BytesIO(bytes(whole)))


def test_gnu_long_names_and_sparse_files_are_refused():
    with pytest.raises(OciError, match="no regular file"):
        _all(_tar(_file("n" * 150), form=tarfile.GNU_FORMAT))
    with pytest.raises(OciError, match="not read"):
        _all(_tar(_file("a", pax_headers={"GNU.sparse.major": "1"})))


def test_a_size_that_an_extended_header_claims_is_bounded_as_well():
    claims = _tar(_file("a", b"x", pax_headers={"size": "9" * 15}))
    with pytest.raises(OciError, match="more than"):
        _all(claims)
