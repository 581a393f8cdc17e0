"""The key of seals: it is kept for nobody else, and goes with the last project."""

import os

import pytest

from ntp.package.seal_key import NAME, SealKey
from orchestrator.app import background
from orchestrator.settings import find


def test_it_is_kept_for_all_who_come_later_and_for_nobody_else(tmp_path):
    key = SealKey(tmp_path).read()
    assert len(key) == 32
    assert SealKey(tmp_path).read() == key
    assert [each.name for each in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["read by others", "short", "a link", "a pipe", "a folder"])
def test_one_that_somebody_may_have_put_there_is_not_taken(tmp_path, how):
    key, file = SealKey(tmp_path).read(), tmp_path / NAME
    if how == "read by others":
        file.chmod(0o640)
    elif how == "short":
        file.write_bytes(key[1:])
    elif how == "a link":
        file.symlink_to(file.rename(tmp_path / "elsewhere"))
    else:
        file.unlink()
        (os.mkfifo if how == "a pipe" else os.mkdir)(file)
    mine = SealKey(tmp_path)
    assert mine.read() != key
    assert mine.read() == mine.read()
    # What cannot be replaced is no key for anybody: each has one of its own.
    assert (SealKey(tmp_path).read() == mine.read()) == (how != "a folder")
    assert not [*tmp_path.glob(f".{NAME}*")]


def test_it_goes_with_the_last_project(tmp_path):
    states = tmp_path / "states"
    one, two = (
        find((), project=name, cwd=tmp_path, environment={"NTP_STATE": str(states)})
        for name in ("one", "two")
    )
    background.make_state(one.state)
    SealKey(states).read()
    two.state.mkdir()
    background.forget(one, delete_data=True)
    assert {each.name for each in states.iterdir()} == {NAME, "two"}
    two.state.rmdir()
    background.make_state(one.state)
    (one.state / background.MADE).touch()
    background.forget(one, delete_data=True)
    assert not states.exists()
