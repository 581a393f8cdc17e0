import asyncio

import msgspec
import pytest

from ntp.contract.launch import LAUNCH_FILE, TERMINATION_FILE, Termination
from ntp.runner import launch
from ntp.runner.ending import LONGEST, EndError, LastWords
from ntp.runner.watch import Watch


@pytest.mark.parametrize("message", ["short", "x" * 10_000, "é" * 5_000, '"\n' * 4_000])
def test_last_words_fit_the_file_and_can_be_read(tmp_path, message):
    words = LastWords(tmp_path)
    words.say(Termination("ImportFailed", message, permanent=True))
    words.close()
    left = (tmp_path / TERMINATION_FILE).read_bytes()
    assert len(left) <= LONGEST
    said = msgspec.json.decode(left, type=Termination)
    assert (said.reason, said.permanent) == ("ImportFailed", True)
    assert message.startswith(said.message.removesuffix(" …"))
    assert len(left) > 3_000 or said.message == message


def test_what_an_earlier_life_left_is_not_taken_for_ours(tmp_path):
    (tmp_path / TERMINATION_FILE).write_text("Timeout (0:00:31)!")
    LastWords(tmp_path).close()
    assert (tmp_path / TERMINATION_FILE).read_bytes() == b""


def test_without_a_file_they_go_to_standard_error(tmp_path, capfd):
    words = LastWords(tmp_path / "missing")
    words.say(Termination("StreamEnded", "it ended"))
    words.close()
    assert "StreamEnded" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "LaunchUnreadable"),
        ("", "LaunchUnreadable"),
        ("{}", "ContractMismatch"),
        ('{"contract": "2.0"}', "ContractMismatch"),
        ('{"contract": "1.0"}', "LaunchUnreadable"),
        ('{"contract": 1}', "LaunchUnreadable"),
    ],
)
def test_a_launch_that_cannot_be_meant_for_us_ends_it(tmp_path, text, reason):
    if text is not None:
        (tmp_path / LAUNCH_FILE).write_text(text)
    with pytest.raises(EndError) as ended:
        launch.read(tmp_path)
    assert ended.value.termination.reason == reason
    assert ended.value.termination.permanent == (reason == "ContractMismatch")


def test_the_folder_is_where_the_environment_says(monkeypatch):
    monkeypatch.delenv("NTP_LAUNCH", raising=False)
    assert str(launch.folder()) == "/run/ntp"
    monkeypatch.setenv("NTP_LAUNCH", "/elsewhere")
    assert str(launch.folder()) == "/elsewhere"


@pytest.fixture
def watch(tmp_path):
    with (tmp_path / "dump").open("wb") as file:
        yield Watch(0.05, file)


async def test_a_callback_that_returns_in_time_gives_its_result(watch):
    async def quick():
        await asyncio.sleep(0)
        return 7

    assert await watch.deadline("connect", quick()) == 7


async def test_a_callback_that_does_not_is_ended_by_name(watch):
    with pytest.raises(EndError) as ended:
        await watch.deadline("connect", asyncio.Event().wait())
    assert ended.value.termination.reason == "CallbackTimeout"
    assert ended.value.termination.message.startswith("connect() took longer than 0.05 s")


async def test_a_timeout_of_the_plugins_own_is_told_as_its_own(watch):
    async def gives_up():
        raise TimeoutError("the exchange did not answer")

    with pytest.raises(EndError) as ended:
        await watch.deadline("connect", gives_up())
    assert ended.value.termination.reason == "ConnectFailed"
    assert "the exchange did not answer" in ended.value.termination.message
