"""What a plugin says of its own end, and how far it is believed (process runtime and its kin)."""

import json

import pytest

WRITE = """
import os, sys
with open(os.environ['NTP_LAUNCH'] + '/termination', 'wb') as file:
    file.write({words!r})
sys.exit(1)
"""
HANGS = """
import faulthandler, os, time
file = open(os.environ['NTP_LAUNCH'] + '/termination', 'w')
faulthandler.dump_traceback_later(0.2, exit=True, file=file)
def analyze():
    time.sleep(600)
def runner():
    analyze()
runner()
"""


async def end_with(world, words):
    await world.run("alpha", WRITE.format(words=words))
    return await world.ended("alpha")


async def test_the_last_words_of_a_runner_are_told(world):
    words = {"reason": "ConfigRefused", "message": "period was 0", "permanent": True}
    end = await end_with(world, json.dumps(words).encode())
    assert (end.reason, end.message, end.permanent) == ("ConfigRefused", "period was 0", True)
    assert end.code == 1


@pytest.mark.parametrize("reason", ["OOMKilled", "Stopped", "a b", "\x1b[2J", "", 7, None])
@pytest.mark.rare
async def test_a_plugin_is_not_believed_what_only_the_runtime_can_know(world, reason):
    end = await end_with(world, json.dumps({"reason": reason, "message": "m\x1b"}).encode())
    assert (end.reason, end.message, end.oom, end.permanent) == ("", "m", False, False)


@pytest.mark.parametrize(
    "words", [b"", b"{", b"[]", b"\xff\0", b"[" * 50_000, b'{"reason": "Good"}', b"x" * 3_000_000]
)
@pytest.mark.rare
async def test_nonsense_in_place_of_last_words_does_no_harm(world, words):
    end = await end_with(world, words[:20_000])
    assert (end.reason, end.permanent) == ("", False)
    assert len(end.message) <= 2000


@pytest.mark.needs("runs_folders")
async def test_a_callback_that_does_not_return_is_named_with_its_place(world, tmp_path):
    code = tmp_path / "code"
    code.mkdir(mode=0o755)
    (code / "stuck.py").write_text(HANGS)
    await world.run("alpha", "", code=code, argv=("/plugin/stuck.py",))
    end = await world.ended("alpha")
    assert end.reason == "CallbackTimeout"
    assert "it was at stuck.py:6 in analyze; make it shorter" in end.message


@pytest.mark.rare
async def test_an_exit_code_that_shells_take_for_a_signal_is_not_called_one(world):
    words = json.dumps({"reason": "Exited", "message": "sys.exit(137) (a.py:5)"}).encode()
    code = WRITE.format(words=words).replace("sys.exit(1)", "sys.exit(137)")
    await world.run("alpha", code)
    end = await world.ended("alpha")
    assert (end.code, end.signal) == (137, None)
    assert (end.reason, end.message) == ("Exited", "sys.exit(137) (a.py:5)")


@pytest.mark.rare
async def test_where_only_the_plugin_knows_both_are_told(world):
    await world.run("alpha", "import os; os._exit(137)")
    end = await world.ended("alpha")
    assert end.code == 137 or "exit code 137" in end.message
