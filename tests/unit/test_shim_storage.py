import os

from ntp.confine import shim_storage


def test_bytes_on_disk_are_counted_over_folders(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    before, complete = shim_storage.used(str(tmp_path))
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(100_000))
    after, _ = shim_storage.used(str(tmp_path))
    assert complete
    assert 100_000 <= after - before <= 110_000


def test_a_sparse_file_counts_for_what_it_holds(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert shim_storage.used(str(tmp_path))[0] < 1 << 20


def test_links_are_not_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(bytes(1_000_000))
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "storage" / "file").symlink_to(tmp_path / "outside" / "file")
    (tmp_path / "storage" / "loop").symlink_to(".")
    used, complete = shim_storage.used(str(tmp_path / "storage"))
    assert complete
    assert used < 500_000


def test_a_folder_that_is_itself_a_link_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    assert shim_storage.used(str(tmp_path / "link")) == (0, True)


def test_too_many_files_are_told(tmp_path):
    for number in range(20):
        (tmp_path / str(number)).touch()
    assert shim_storage.used(str(tmp_path))[1]
    for number in range(shim_storage.ENTRIES - 19):
        os.link(tmp_path / "0", tmp_path / f"link-{number}")
    assert not shim_storage.used(str(tmp_path))[1]


def test_too_deep_a_tree_is_told(tmp_path):
    tmp_path.joinpath(*["d"] * shim_storage.DEPTH).mkdir(parents=True)
    assert shim_storage.used(str(tmp_path))[1]
    tmp_path.joinpath(*["d"] * (shim_storage.DEPTH + 1)).mkdir(parents=True)
    assert not shim_storage.used(str(tmp_path))[1]
