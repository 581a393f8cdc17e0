"""Private files are kept as they change, and are there for the next controller."""

import asyncio
import stat

import pytest

from orchestrator.errors import ActionError
from orchestrator.store.kubernetes.kept_folder import KeptFolder
from orchestrator.store.kubernetes.store import ClusterStore
from tests.ports.store_suite import revision


def test_what_changes_is_kept_and_what_goes_is_forgotten(tmp_path):
    store = ClusterStore()
    kept = KeptFolder(tmp_path / "keys", store, vital="account.CORE.nk")
    kept.restore()
    (tmp_path / "keys" / "account.rsi.nk").write_bytes(b"SA\n")
    (tmp_path / "keys" / "user.rsi.jwt").write_bytes(b"\xff\x00")
    (tmp_path / "keys" / ".user.rsi.nk.1234").write_bytes(b"half")
    kept.keep()
    assert store.files() == {"account.rsi.nk": b"SA\n", "user.rsi.jwt": b"\xff\x00"}
    (tmp_path / "keys" / "user.rsi.jwt").unlink()
    (tmp_path / "keys" / "account.rsi.nk").write_bytes(b"SB\n")
    kept.keep()
    assert store.files() == {"account.rsi.nk": b"SB\n"}


async def test_those_who_wait_for_what_is_there_now_share_looks(tmp_path):
    """A thousand starts wait for as many credentials; each look reads the whole folder."""

    class Counted(ClusterStore):
        looks = 0

        def keep_files(self, files):
            self.looks += 1
            super().keep_files(files)

    store, folder = Counted(), tmp_path / "keys"
    kept = KeptFolder(folder, store, vital="account.CORE.nk")
    kept.restore()

    async def start(name: str) -> None:
        (folder / f"account.{name}.nk").write_bytes(b"S")
        await kept.kept()
        assert f"account.{name}.nk" in store.files()

    async with asyncio.TaskGroup() as tasks:
        for number in range(100):
            tasks.create_task(start(f"p{number}"))
    assert store.looks < 50


def test_the_next_controller_finds_them_and_no_others(tmp_path):
    store = ClusterStore()
    store.keep_files({"account.rsi.nk": b"SA\n", "../outside": b"x"})
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "account.old.nk").write_bytes(b"of another leader")
    kept = KeptFolder(folder, store, vital="account.CORE.nk")
    kept.restore()
    assert {each.name for each in folder.iterdir()} == {"account.rsi.nk"}
    assert (folder / "account.rsi.nk").read_bytes() == b"SA\n"
    assert stat.S_IMODE((folder / "account.rsi.nk").stat().st_mode) == 0o600
    assert not (tmp_path / "outside").exists()
    before = store.files()
    kept.keep()
    assert store.files() == before


@pytest.mark.parametrize(
    ("damaged", "files", "words"),
    [
        (["files.3", "events"], {"account.CORE.nk": b"SA"}, "damaged: files.3\n  fix: restore"),
        ([], {"account.rsi.nk": b"SA"}, r"\(account.CORE.nk\) is gone"),
    ],
)
def test_nobody_goes_on_with_other_keys_than_those_that_streams_belong_to(
    tmp_path, damaged, files, words
):
    store = ClusterStore()
    store.keep_files(files)
    store.damaged = damaged
    kept = KeptFolder(tmp_path / "keys", store, vital="account.CORE.nk")
    if not damaged:
        kept.restore()  # nothing was applied yet
    store.save(revision(1), expect=None)
    with pytest.raises(ActionError, match=words) as refused:
        kept.restore()
    assert refused.value.reason == "BrokerKeysLost"
