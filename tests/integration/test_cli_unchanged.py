"""`ntpctl apply` once more: where nothing is to be done the controller alone says so; an edit is never swallowed.

Each test knows which of both has answered by whether the command line was imported.
"""

import asyncio
import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.worlds.answering import Desk, RealCode
from tests.worlds.house import FLEET, TEMPO
from tests.worlds.users import plain

SURE = replace(TEMPO, fresh=timedelta(minutes=1))
"""No question is answered from a look of before because a machine is loaded."""
TEXT = f"name: desk\n{FLEET}".replace(
    "config: {lookback: 14}",
    "config: {lookback: 14, key: '${DESK_KEY}'}\n      secrets: {token: 'file:token'}",
)
ENTRY = """\
import sys
from orchestrator.entry import main
try:
    main()
finally:
    print("click" in sys.modules, file=sys.stderr)
"""
ASKED = "import sys; from orchestrator.entry import reapplied; print(reapplied(sys.argv[1:]))"
STRAIGHT = "from orchestrator.entry import main; main()"
WHOLE = "from orchestrator.cli import main; main()"
OTHER = (
    f"import orchestrator; orchestrator.__file__ = orchestrator.__path__[0] + '/entry.py'\n{ENTRY}"
)
MINE = """\
from ntp import StrategyPlugin


class Mine(StrategyPlugin):
    async def analyze(self, data, history):
        return None  # 1
"""
MANIFEST = """\
name: mine
kind: strategy
version: 1.0.0
description: Says nothing.
entrypoint: mine:Mine
"""


class Applied(Desk):
    """A project that is applied by the command, from its folder."""

    def __init__(self, folder):
        super().__init__(folder)
        self.file = folder / "plugins.yaml"
        self.environment = {
            **plain(),
            "NTP_STATE": str(folder / "state"),
            "NTP_CACHE": str(folder / "cache"),
            "DESK_KEY": "first",
        }

    async def run(self, script, *arguments, stdin=subprocess.DEVNULL, **environment):
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-c", script, *(arguments or ("apply",))],
            cwd=self.folder, env={**self.environment, **environment}, stdin=stdin,
            text=True, timeout=60, check=False, capture_output=True,
        )  # fmt: skip

    async def again(self, *arguments, code=0, script=ENTRY, **more):
        """Apply; return whether the controller alone has answered, and what was printed."""
        run = await self.run(script, *arguments, **more)
        assert run.returncode == code, (run.stdout, run.stderr)
        lines, _, imported = run.stderr.removesuffix("\n").rpartition("\n")
        return imported == "False", run.stdout + lines

    async def is_quick(self, *arguments, **more):
        quick, said = await self.again(*arguments, **more)
        assert not quick or "nothing to do: 4 run as declared\n" in said
        return quick

    def revision(self):
        return self.house.store.current()


@asynccontextmanager
async def applied(folder, tempo=SURE):
    (folder / "token").write_text("a token")
    made = Applied(folder)
    made.house.tempo = tempo
    made.file.write_text(TEXT)
    async with made.open():
        assert not await made.is_quick(), "nothing was applied yet"
        yield made


@pytest.fixture
async def desk(tmp_path):
    async with applied(tmp_path) as made:
        yield made


@pytest.fixture
async def patient(tmp_path):
    """One whose runtime has longer for an answer than a question waits for it."""
    tempo = replace(TEMPO, look=timedelta(minutes=1), fresh=timedelta(seconds=0.2))
    async with applied(tmp_path, tempo) as made:
        yield made


async def test_nothing_to_do_is_told_in_the_words_of_the_command_line(desk):
    whole = await desk.run(WHOLE)
    for arguments in ((), ("apply", "--yes"), ("apply", "-y", "-f", "plugins.yaml")):
        run = await desk.run(ENTRY, *arguments)
        assert run.stdout == whole.stdout
        assert run.stderr.splitlines() == [*told(whole.stderr), "False"]
    one_stream = [
        await desk.run(f"import os; os.dup2(1, 2)\n{script}") for script in (WHOLE, STRAIGHT)
    ]
    assert told(one_stream[0].stdout) == one_stream[1].stdout.splitlines()
    assert len(await desk.house.controller.revisions()) == 1


def told(text):
    """Without progress: whether there was a look meanwhile is a matter of chance."""
    return [line for line in text.splitlines() if not re.match(r"\d+/\d+ ready  ", line)]


def rewrite(file, old, new):
    """An edit that neither size nor times of the file show."""
    before = file.stat()
    text = file.read_text()
    assert old in text
    assert len(old) == len(new)
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ino,
    )


async def test_an_edit_that_size_and_times_do_not_show_is_seen(desk):
    rewrite(desk.file, "period: 20", "period: 30")
    quick, said = await desk.again()
    assert not quick
    assert "config.period 20 -> 30" in said
    assert await desk.is_quick()


@pytest.mark.parametrize(("place", "code"), [("a pipe", 141), ("/dev/full", 5)])
async def test_a_reader_that_has_gone_and_a_full_disk_end_it_as_ever(desk, place, code):
    for script in (WHOLE, STRAIGHT):
        if place == "a pipe":
            reading, writing = os.pipe()
            os.close(reading)
        else:
            writing = os.open(place, os.O_WRONLY)
        run = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-P", "-c", script, "apply"], cwd=desk.folder,
            env=desk.environment, stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE,
            text=True, timeout=60,
        )  # fmt: skip
        os.close(writing)
        assert run.returncode == code, (script, run.stderr)
        assert "Traceback" not in run.stderr


async def test_an_edit_of_the_text_alone_makes_a_revision_as_ever(desk):
    desk.file.write_text(f"{TEXT}# a word\n")
    assert not await desk.is_quick()
    assert desk.revision().number == 2
    assert await desk.is_quick()


async def test_a_link_that_leads_to_another_file_is_followed(desk):
    for name, period in (("one", 20), ("two", 30)):
        (desk.folder / name).write_text(TEXT.replace("period: 20", f"period: {period}"))
    desk.file.unlink()
    desk.file.symlink_to("one")
    assert await desk.is_quick(), "the same text is the same file"
    (desk.folder / "next").symlink_to("two")
    (desk.folder / "next").rename(desk.file)
    assert "config.period 20 -> 30" in (await desk.again())[1]


async def test_another_value_of_a_variable_reaches_who_has_it(desk):
    assert await desk.is_quick()
    quick, said = await desk.again(DESK_KEY="second")
    assert not quick
    assert "momentum" in said
    assert await desk.is_quick(DESK_KEY="second")
    assert not await desk.is_quick()


async def test_a_variable_that_is_gone_is_no_reason_to_be_silent(desk):
    del desk.environment["DESK_KEY"]
    whole, run = await desk.run(WHOLE), await desk.run(STRAIGHT)
    assert (run.stdout, told(run.stderr)) == (whole.stdout, told(whole.stderr))


@pytest.mark.parametrize("name", ["PLUGIN_MAX_MEMORY=64MB", "PLUGIN_TIMEOUT=9s", "PLUGIN_DIR=mine"])
@pytest.mark.parametrize("where", ["environment", "dotenv"])
async def test_another_setting_is_another_revision(desk, name, where):
    setting, _, value = name.partition("=")
    if where == "dotenv":
        (desk.folder / ".env").write_text(f"{name}\n")
        assert not await desk.is_quick()
    else:
        assert not await desk.is_quick(**{setting: value})
    assert value in desk.revision().settings[setting]


async def test_a_secret_in_dotenv_and_one_in_a_file_are_read_anew(desk):
    del desk.environment["DESK_KEY"]
    dotenv, token = desk.folder / ".env", desk.folder / "token"
    dotenv.write_text("DESK_KEY=first\n")
    assert await desk.is_quick()
    rewrite(dotenv, "first", "other")
    quick, said = await desk.again()
    assert not quick
    assert "nothing to do" not in said
    assert await desk.is_quick()
    rewrite(token, "a token", "b token")
    quick, said = await desk.again()
    assert not quick
    assert "nothing to do" not in said
    assert await desk.is_quick()


async def test_code_and_schema_of_a_plugin_are_read_anew(tmp_path):
    folder = tmp_path / "plugins" / "mine"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(MINE)
    (folder / "plugin.yaml").write_text(MANIFEST)
    desk = Applied(tmp_path)
    desk.house.catalog = RealCode(tmp_path)
    desk.house.tempo = SURE
    desk.file.write_text(
        "name: desk\nplugins:\n  strategies:\n    - {name: mine, timeout: 100ms}\n"
    )
    async with desk.open():
        assert not (await desk.again())[0]
        assert (await desk.again())[0]
        for file, old, new in (("mine.py", "# 1", "# 2"), ("plugin.yaml", "nothing", "no word")):
            rewrite(folder / file, old, new)
            quick, said = await desk.again()
            assert not quick
            assert "code" in said, said
            assert (await desk.again())[0]
        shutil.rmtree(folder)
        quick, said = await desk.again(code=2)
        assert not quick
        assert "the plugin 'mine' was not found" in said


async def test_another_image_is_started(desk):
    desk.house.catalog.digests["momentum"] = "sha256:another"
    quick, said = await desk.again()
    assert not quick
    assert "nothing to do" not in said
    assert await desk.is_quick()


async def test_who_has_died_or_was_removed_runs_again_before_anybody_says_so(desk):
    machine = desk.house.machine
    for lose in (machine.end, machine.instances.pop):
        life = machine.instances["paper"].started
        lose("paper")
        await desk.again()
        assert machine.instances["paper"].started != life
        assert "paper" in machine.running()


async def test_stopped_by_hand_and_halted_are_told_as_ever(desk):
    for words in (["halt", "momentum"], ["stop", "paper"]):
        assert (await desk.run(WHOLE, *words)).returncode == 0
        whole, run = await desk.run(WHOLE), await desk.run(STRAIGHT)
        assert (run.stdout, told(run.stderr)) == (whole.stdout, told(whole.stderr))
    assert "1 stopped by hand" in run.stderr


async def test_a_runtime_that_does_not_answer_is_told(desk):
    desk.house.machine.away = True
    quick, said = await desk.again(code=3)
    assert not quick
    assert "the runtime does not answer" in said


async def test_a_look_of_before_is_no_answer(patient):
    patient.house.machine.hangs = True
    assert (await patient.run(ASKED, "apply")).stdout == "None\n"


async def test_what_has_to_be_confirmed_or_warned_of_is_told_each_time(desk):
    quick, said = await desk.again(code=2, PLUGIN_SANDBOX="false")
    assert not quick
    assert "PLUGIN_SANDBOX was false" in said
    for _ in range(2):
        assert not await desk.is_quick("apply", "--no-sandbox", PLUGIN_SANDBOX="false")


async def test_a_failed_edit_is_over_when_the_old_text_is_back(desk):
    desk.file.write_text(f"{TEXT}oops: 1\n")
    assert not (await desk.again(code=2))[0]
    # What a controller has refused itself, such as where files are followed.
    with contextlib.suppress(Exception):
        await desk.house.apply(f"{TEXT}oops: 1\n")
    assert not (await desk.house.condition("ConfigValid")).status
    desk.file.write_text(TEXT)
    assert await desk.is_quick()
    assert (await desk.house.condition("ConfigValid")).status


async def test_the_same_text_elsewhere_is_another_project(desk):
    other = desk.folder / "other"
    other.mkdir()
    (other / "plugins.yaml").write_text(TEXT)
    (other / "token").write_text("another token")
    quick, _ = await desk.again("apply", "-f", "other/plugins.yaml")
    assert not quick
    assert desk.revision().settings["folder"] == str(other)


@pytest.mark.parametrize(
    "words",
    [["--no-wait"], ["--allow-deletes"], ["-o", "json"], ["--update-images"], ["--project", "desk"],
     ["--deadline", "9"], ["--wait"]],
)  # fmt: skip
async def test_any_other_option_is_the_command_lines(desk, words):
    assert not (await desk.again("apply", *words))[0]


async def test_a_file_that_only_the_command_can_read_is_read_by_it(desk):
    with desk.file.open() as given:
        assert not (await desk.again("apply", "-f", "-", stdin=given))[0]
    other = desk.folder / "other.yaml"
    other.write_text(TEXT.replace("period: 20", "period: 30"))
    with other.open() as given:
        quick, _ = await desk.again("apply", "-f", "/dev/stdin", stdin=given)
    assert not quick
    os.mkfifo(desk.folder / "pipe")
    quick, said = await desk.again(PLUGIN_CONFIG="pipe", code=2)
    assert not quick
    assert "no regular file" in said


async def test_an_environment_that_is_no_text_is_no_obstacle(desk):
    assert not await desk.is_quick(ODD="\udcff")


async def test_another_release_and_another_home_are_not_guessed_at(desk):
    assert not (await desk.again(script=OTHER))[0]
    assert not await desk.is_quick(HOME="/nowhere")
    assert await desk.is_quick()


async def test_the_next_controller_says_the_same(tmp_path):
    (tmp_path / "token").write_text("a token")
    desk = Applied(tmp_path)
    desk.house.tempo = SURE
    desk.file.write_text(TEXT)
    async with desk.open():
        await desk.again()
    async with desk.open():
        await desk.house.passes(2)
        # Its memory of the values that the first was given is gone; a command brings them again.
        assert (await desk.again())[1].startswith("nothing to do: 4 run as declared")
        assert await desk.is_quick()
        assert not await desk.is_quick(DESK_KEY="second")


@contextlib.contextmanager
def answering(path, answer, *, user=0):
    """Answer at a socket; yield what was said there."""
    heard = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.seteuid(user or os.geteuid())
        try:
            listener.listen(1)  # whose it is to a client is settled here
        finally:
            os.seteuid(os.getuid())

        def listen():
            link, _ = listener.accept()
            with link:
                heard.append(link.recv(1 << 16))
                with contextlib.suppress(OSError):
                    link.sendall(answer)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield heard
        thread.join(10)


ASK = "from orchestrator.entry import reapplied; print(reapplied(['apply']))"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
async def test_nobody_else_is_told_our_environment(tmp_path):
    desk = Applied(tmp_path)
    desk.file.write_text(TEXT)
    nobody = pwd.getpwnam("nobody").pw_uid
    with answering(desk.state / "controller.sock", b"", user=nobody) as heard:
        run = await desk.run(ASK)
    assert run.stdout == "None\n", run.stderr
    assert heard == [b""]


@pytest.mark.parametrize(
    "answer",
    [b'{"event":"alive"}\n', b'{"error":{"kind":"action","message":"no such call"}}\n', b"", b"no json\n", b'{"result":{}}\n'],
)  # fmt: skip
async def test_any_other_answer_leaves_it_to_the_command_line(tmp_path, answer):
    desk = Applied(tmp_path)
    desk.file.write_text(TEXT)
    with answering(desk.state / "controller.sock", answer) as heard:
        run = await desk.run(ASK)
    assert run.stdout == "None\n", run.stderr
    assert b'"DESK_KEY": "first"' in heard[0]
