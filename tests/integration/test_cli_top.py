"""`top` as a command: lines for a program, and a live view on a real terminal that is put back."""

import asyncio
import json
import os
import shutil
import signal
import sys

import pytest

from orchestrator.control.protocol import SOCKET
from tests.integration.test_cli_documents import deviations
from tests.worlds.answering import Desk
from tests.worlds.house import FLEET
from tests.worlds.terminal import Terminal

LONG = ["--interval", "3600"]
TOP = [sys.executable, "-m", "orchestrator", "top", "--project", "desk", "--interval", "0.2"]
SHOWN, GONE = b"\x1b[?1049h", b"\x1b[?1049l"
CTRL_C, CTRL_Z = b"\x03", b"\x1a"


@pytest.fixture
async def desk(tmp_path):
    async with Desk(tmp_path).open() as opened:
        await opened.apply(FLEET)
        yield opened


@pytest.fixture
def terminal(desk):
    """A terminal on which `top` runs; it is driven from a thread, for the controller runs in ours."""

    def opened(command=TOP, *, columns=120, lines=20):
        environment = {**os.environ, "NTP_STATE": str(desk.folder / "state")}
        return Terminal(command, columns, lines, environment=environment)

    return opened


def row(at, name):
    return next((line.split() for line in at.picture if line.startswith(name)), [])


async def test_once_is_one_document_or_one_table(desk):
    document = json.loads((await desk.ntpctl("top", "--once", "-o", "json")).stdout)
    table = (await desk.ntpctl("top", "--once", "--sort", "memory")).stdout.splitlines()

    assert deviations(document, "PROJECT") == []
    assert [each["name"] for each in document["plugins"]] == [
        "binance_data", "bollinger", "momentum", "paper",
    ]  # fmt: skip
    assert len(table) == 5
    assert "BUY BTCUSDT 64012.5 " in next(line for line in table if line.startswith("momentum"))
    assert "\x1b" not in "".join(table)


async def test_without_a_terminal_each_look_is_a_line_or_a_table(desk):
    for output in ("json", "table"):
        child = await asyncio.create_subprocess_exec(
            *TOP, "-o", output, "--sort", "state",
            cwd=desk.folder,
            env={**os.environ, "NTP_STATE": str(desk.folder / "state")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(30):
            read = [(await child.stdout.readline()).decode() for _ in range(8)]
            child.send_signal(signal.SIGINT)
            _, said = await child.communicate()

        assert (child.returncode, said) == (130, b"\ninterrupted\n")
        if output == "json":
            looks = [json.loads(line) for line in read]
            assert [deviations(look, "PROJECT") for look in looks] == [[]] * 8
            assert len({look["at"] for look in looks}) == 8
        else:
            assert [line.startswith("NAME ") for line in read] == [True, *[False] * 5, True, False]
            assert read[5] == "\n"


@pytest.mark.parametrize(
    ("leave", "code"),
    [("q", 0), ("Q", 0), (CTRL_C, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)],
)
async def test_whatever_ends_it_the_terminal_is_as_before(terminal, leave, code):
    def person():
        with terminal() as at:
            at.until(lambda: row(at, "bollinger"))
            assert not at.is_as_before()
            assert at.text.count(SHOWN) == 1
            assert GONE not in at.text
            if isinstance(leave, signal.Signals):
                at.child.send_signal(leave)
            else:
                at.press(leave.encode() if isinstance(leave, str) else leave)
            assert at.ended() == code
            assert at.is_as_before()
            _, _, after = at.text.partition(GONE)
            assert b"\x1b[?25h" in at.text.rpartition(b"\x1b[?25l")[2], "the cursor is back"
            assert after == (b"" if code == 0 else b"\r\ninterrupted\r\n")

    await asyncio.to_thread(person)


async def test_another_size_and_the_q_are_not_kept_waiting(terminal):
    def person():
        with terminal([*TOP, *LONG], columns=60) as at:
            at.until(lambda: row(at, "bollinger"))
            assert "RESTARTS" not in "".join(at.picture)
            at.resize(160, 20)
            at.until(lambda: "RESTARTS" in "".join(at.picture))
            at.press(b"x")
            at.press(b"q")
            assert at.ended() == 0

    await asyncio.to_thread(person)


async def test_it_follows_what_changes(desk, terminal):
    with await asyncio.to_thread(terminal, [*TOP, "--sort", "state"], columns=160) as at:
        await asyncio.to_thread(
            at.until, lambda: row(at, "momentum")[:3] == ["momentum", "strategy", "Running"]
        )
        await desk.ntpctl("stop", "momentum")
        await asyncio.to_thread(
            at.until, lambda: at.line(4).split()[:3] == ["momentum", "strategy", "Stopped"]
        )
        at.press(b"q")
        assert await asyncio.to_thread(at.ended) == 0


async def test_a_controller_that_goes_is_told_and_the_next_one_is_shown(desk, terminal):
    """The view stays, with the last figures, until somebody answers again."""
    path = desk.state / SOCKET

    async def reaches(claim):
        await asyncio.to_thread(at.until, claim)

    with await asyncio.to_thread(terminal) as at:
        await reaches(lambda: row(at, "bollinger"))
        path.rename(path.with_name("away"))
        await reaches(lambda: "no controller answers for project 'desk'" in at.line(1))
        await reaches(lambda: row(at, "paper"))
        path.with_name("away").rename(path)
        await reaches(lambda: at.line(1).startswith("CPU"))
        at.press(b"q")
        assert await asyncio.to_thread(at.ended) == 0


async def test_nobody_answers_at_the_start(tmp_path):
    run = await Desk(tmp_path / "other").ntpctl("top", code=3)
    assert "nothing of project 'desk' was applied here" in run.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with job control")
async def test_ctrl_z_lays_it_aside_and_fg_takes_it_up(terminal):
    script = '"$@"; echo laid aside; read -r line; fg >/dev/null; echo ended with $?'

    def person():
        with terminal(["bash", "-mc", script, "bash", *TOP]) as at:
            at.until(lambda: row(at, "bollinger"))
            at.press(CTRL_Z)
            at.until(lambda: b"laid aside" in at.text)
            assert at.text.count(GONE) == 1
            assert at.is_as_before()
            at.press(b"\n")
            at.until(lambda: at.text.count(SHOWN) == 2 and row(at, "bollinger"))
            assert not at.is_as_before()
            at.press(b"q")
            at.until(lambda: b"ended with 0" in at.text)
            assert at.is_as_before()

    await asyncio.to_thread(person)


async def test_a_closed_terminal_leaves_no_process(terminal):
    def person():
        with terminal() as at:
            at.until(lambda: row(at, "bollinger"))
            at.hang_up()
            assert at.child.wait(timeout=20) != 0

    await asyncio.to_thread(person)


async def test_a_terminal_that_cannot_be_drawn_on_gets_tables(terminal, desk):
    def person():
        with terminal(["env", "TERM=dumb", *TOP]) as at:
            at.until(lambda: at.text.count(b"NAME ") == 2)
            assert b"\x1b" not in at.text
            at.press(CTRL_C)
            assert at.ended() == 130

    await asyncio.to_thread(person)
