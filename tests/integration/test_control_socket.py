"""Both ends of the controller's socket, against a small real implementation of its operations."""

# ruff: noqa: ARG002 - an implementation of a protocol takes what the protocol gives

import asyncio
import contextlib
import dataclasses
import os
import pwd
import re
import socket
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from orchestrator.control import protocol, server
from orchestrator.control.calls import Call
from orchestrator.control.client import answers, ask, call
from orchestrator.decide.changes import Change
from orchestrator.decide.report import (
    BrokerInfo,
    Condition,
    DeadLetter,
    DeadLetterInFull,
    Downed,
    FlowTotals,
    Info,
    LettersDone,
    Outcome,
    PluginStatus,
    Preview,
    Progress,
    ProjectStatus,
    Tap,
    Waiting,
)
from orchestrator.decide.state import Exit, Isolation, Usage
from orchestrator.errors import (
    ActionError,
    ConfigError,
    ConflictError,
    NtpError,
    Problem,
    UnreachableError,
)
from orchestrator.ports import Event, LogLine, Revision

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROBLEM = Problem("plugins.yaml", 6, 5, "unknown field 'resorces'", "did you mean 'resources'?")
ERRORS = {
    "config": ConfigError([PROBLEM]),
    "unreachable": UnreachableError("the runtime does not answer"),
    "conflict": ConflictError("revision 4 was applied meanwhile"),
    "action": ActionError("no", reason="GuardedDeletion", permanent=True),
    "bug": ZeroDivisionError("a bug of ours"),
}


class Desk:
    """Answers from memory; `closed` tells which streams were closed properly."""

    def __init__(self):
        self.asked = []
        self.closed = []
        self.release = asyncio.Event()

    async def info(self):
        raise NotImplementedError

    async def status(self, name):
        if name in ERRORS:
            raise ERRORS[name]
        return ProjectStatus("desk", 3, NOON, (), ())

    async def preview(self, sources, *, settings, secrets, pins, update_images):
        self.asked.append((sources, settings, secrets))
        return Preview(problems=[PROBLEM], guard="x" * sum(len(text) for _, text in sources))

    async def apply(self, sources, **order):
        self.asked.append(order)
        yield Preview(differs=True)
        yield Progress(1, 2, "rsi", "Running", "")
        await self.release.wait()
        yield Outcome(4, True, [])

    async def wait(self, names, *, deadline):
        self.asked.append((names, deadline))
        yield Outcome(4, False, [])

    async def events(self, name, *, limit):
        return [Event(NOON, name or "", "Normal", "Started", str(limit))]

    async def follow_events(self, name, *, limit):
        try:
            yield Event(NOON, name or "", "Normal", "Old", str(limit))
            yield Event(NOON, name or "", "Normal", "New", "")
            await asyncio.Event().wait()
        finally:
            self.closed.append("events")

    async def logs(self, name, *, follow, tail):
        try:
            for number in range(tail):
                yield LogLine(NOON, "stdout", f"{number} ✓")
            while follow:
                yield LogLine(NOON, "stdout", "more " * 100)
        finally:
            self.closed.append("logs")

    async def restart(self, name, *, wait, deadline):
        yield Outcome(4, True, [])

    stop = start = restart

    async def down(self, *, delete_data, deadline):
        yield Downed([], [])

    async def tap(self, name):
        try:
            yield Tap(name, "127.0.0.1:4222", "secret", ("data.>", "beat"), NOON)
            await asyncio.Event().wait()
        finally:
            self.closed.append("tap")

    async def beats(self):
        return {}

    async def revisions(self):
        sources, resolved = (("plugins.yaml", "plugins: {}"),), {"rsi": "sha256:ab"}
        return [
            Revision(2, NOON, sources, resolved),
            Revision(3, NOON, sources, {}, change="rsi: code ab -> cd"),
            Revision(4, NOON, sources, resolved, change="rsi: code cd -> ab"),
        ]


@pytest.fixture
async def desk(tmp_path):
    operations = Desk()
    async with server.serving(tmp_path / "controller.sock", operations):
        yield operations


@pytest.fixture
def path(tmp_path):
    return tmp_path / "controller.sock"


async def in_thread(function, *arguments, **named):
    async with asyncio.timeout(20):
        return await asyncio.to_thread(function, *arguments, **named)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_result_comes_back(desk, path):
    found = await in_thread(ask, path, "status")
    assert found == {
        "project": "desk",
        "revision": 3,
        "at": "2026-03-02T12:00:00Z",
        "conditions": [],
        "plugins": [],
    }


@pytest.mark.parametrize("kind", ["config", "unreachable", "conflict", "action"])
async def test_an_error_comes_back_as_what_it_was(desk, path, kind):
    with pytest.raises(NtpError) as found:
        await in_thread(ask, path, "status", name=kind)
    assert type(found.value) is type(ERRORS[kind])
    assert str(found.value) == str(ERRORS[kind])
    for field in ("problems", "reason", "permanent", "exit_code"):
        assert getattr(found.value, field, None) == getattr(ERRORS[kind], field, None)


async def test_a_bug_is_told_without_its_details_and_the_server_lives_on(desk, path):
    with pytest.raises(NtpError, match="met a bug") as found:
        await in_thread(ask, path, "status", name="bug")
    assert found.value.exit_code == 1
    assert (await in_thread(ask, path, "status"))["project"] == "desk"


@pytest.mark.parametrize(
    "request_line",
    [
        b"rubbish\n",
        b"[]\n",
        b'{"call": "nothing"}\n',
        b'{"call": "status", "nam": "x"}\n',
        b'{"call": "logs"}\n',
        b'{"call": "apply", "sources": "text"}\n',
        b'{"call": "wait", "deadline": -1}\n',
        b"\xff\xfe\n",
    ],
)
async def test_what_is_no_call_is_refused_with_words(desk, path, request_line):
    def talk():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(request_line)
            return protocol.parse(connection.makefile("rb").readline())

    error = (await in_thread(talk))["error"]
    assert (error["kind"], error["reason"]) == ("action", "BadCall")


async def test_progress_is_told_as_it_comes(desk, path):
    def apply():
        return list(call(path, "apply", sources=[["plugins.yaml", "plugins: {}"]], deadline=7))

    async with asyncio.TaskGroup() as tasks:
        applying = tasks.create_task(in_thread(apply))
        await until(lambda: desk.asked)
        desk.release.set()
    events = [each.get("event") for each in applying.result()]
    assert events == ["plan", "progress", None]
    assert applying.result()[-1]["result"]["revision"] == 4
    assert desk.asked[0]["deadline"] == timedelta(seconds=7)
    assert desk.asked[0]["allow_deletes"] is False


async def test_sixteen_mebibytes_of_sources_fit(desk, path):
    text = "é" * (8 << 20)
    found = await in_thread(ask, path, "preview", sources=[["plugins.yaml", text]])
    assert len(found["guard"]) == len(text)
    assert desk.asked == [([("plugins.yaml", text)], {}, {})]


async def test_more_than_a_request_may_hold_is_refused(desk, path):
    text = "x" * (protocol.LONGEST_LINE + 1)
    with pytest.raises(ActionError, match="at most 40 MiB"):
        await in_thread(ask, path, "preview", sources=[["plugins.yaml", text]])


async def test_logs_are_told_line_by_line(desk, path):
    found = await in_thread(lambda: list(call(path, "logs", name="rsi", tail=3)))
    assert [each.get("text") for each in found] == ["0 ✓", "1 ✓", "2 ✓", None]


@pytest.mark.parametrize(("name", "arguments"), [("logs", {"name": "rsi"}), ("events", {})])
async def test_a_client_that_hangs_up_ends_what_it_followed(desk, path, name, arguments):
    def look():
        messages = call(path, name, follow=True, **arguments)
        with contextlib.closing(messages):
            return [next(messages), next(messages)]

    await in_thread(look)
    await until(lambda: desk.closed == [name])


async def test_revisions_are_listed_briefly_and_one_is_told_whole(desk, path):
    brief = (await in_thread(ask, path, "revisions"))["revisions"]
    assert brief[0]["files"] == ["plugins.yaml"]
    assert [(each["change"], each["again"]) for each in brief] == [
        ("", None),
        ("rsi: code ab -> cd", None),
        ("rsi: code cd -> ab", 2),
    ]
    one = await in_thread(ask, path, "revision", number=2)
    assert one["sources"] == [["plugins.yaml", "plugins: {}"]]
    with pytest.raises(ActionError, match="the newest are: 2, 3, 4"):
        await in_thread(ask, path, "revision", number=9)


async def test_nobody_there_is_unreachable(tmp_path):
    with pytest.raises(UnreachableError, match="no controller answers"):
        ask(tmp_path / "controller.sock", "status")
    assert not answers(tmp_path / "controller.sock")


async def test_a_server_that_ended_leaves_no_socket_and_finishes_its_answers(tmp_path):
    path, desk = tmp_path / "controller.sock", Desk()

    def apply():
        return list(call(path, "apply", sources=[]))

    async with asyncio.TaskGroup() as tasks, server.serving(path, desk):
        applying = tasks.create_task(in_thread(apply))
        await until(lambda: desk.asked)
        asyncio.get_running_loop().call_later(0.1, desk.release.set)
    assert applying.result()[-1] == {
        "result": {"revision": 4, "ready": True, "plugins": [], "waiting": []}
    }
    assert not path.exists()


async def test_a_server_that_ended_leaves_the_socket_of_its_successor(tmp_path):
    # As after `rm -r` of the state folder: the next controller does not know of the first.
    path, there, leave = tmp_path / "controller.sock", asyncio.Event(), asyncio.Event()

    async def successor():
        async with server.serving(path, Desk()):
            there.set()
            await leave.wait()

    async with asyncio.TaskGroup() as tasks:
        async with server.serving(path, Desk()):
            path.unlink()
            tasks.create_task(successor())
            await there.wait()
        assert path.exists(), "the first took the second's socket with it"
        leave.set()
    assert not path.exists()


async def test_a_controller_that_hangs_is_noticed(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(UnreachableError, match=r"not complete in time|said nothing"):
            await in_thread(ask, path, "status", within_s=0.3)


async def test_a_controller_that_dies_in_the_middle_is_noticed(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def die():
            connection, _ = listener.accept()
            connection.sendall(b'{"event": "progress"}\n{"resu')
            connection.close()

        threading.Thread(target=die).start()
        with pytest.raises(UnreachableError, match="hung up"):
            await in_thread(ask, path, "status")


async def test_a_folder_with_a_long_path_works(tmp_path):
    folder = tmp_path / ("long-" * 20) / ("longer-" * 10)
    folder.mkdir(parents=True)
    path = folder / "controller.sock"
    assert len(str(path)) > 150
    async with server.serving(path, Desk()):
        assert (await in_thread(ask, path, "status"))["project"] == "desk"
        assert answers(path)


async def test_the_socket_is_for_its_owner_only(desk, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_socket_that_a_killed_controller_left_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with server.serving(path, Desk()):
        assert await in_thread(answers, path)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be refused")
async def test_another_user_is_refused(desk, path):
    nobody = pwd.getpwnam("nobody")
    script = (
        "import os, sys, socket\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(sys.argv[1])\n"
        f"os.setuid({nobody.pw_uid})\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "try:\n    s.connect(sys.argv[1])\nexcept PermissionError:\n    print('refused')\n"
    )
    found = await in_thread(
        subprocess.run, [sys.executable, "-c", script, str(path)], capture_output=True, text=True
    )
    assert found.stdout == "refused\n", found.stderr


async def test_the_client_starts_without_heavy_packages():
    script = (
        "import sys, orchestrator.control.client\n"
        "heavy = {'msgspec', 'pydantic', 'asyncio', 'yaml', 'click', 'nats', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = await in_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert found.stdout == "[]\n"


def test_every_field_that_is_told_is_documented():
    shapes = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    told = [Info, Outcome, Preview, Progress, ProjectStatus, PluginStatus, Condition, Downed]
    told += [Change, Event, Exit, FlowTotals, Isolation, LogLine, Usage, BrokerInfo, Waiting, Tap]
    told += [DeadLetter, DeadLetterInFull, LettersDone]
    unsaid = {"payload"}  # it may be anything, and is told as text
    missing = [
        f"{each.__name__}.{field.name}"
        for each in told
        for field in dataclasses.fields(each)
        if field.name not in unsaid
        if f'"{field.name}"' not in protocol.__doc__ and f"`{field.name}`" not in shapes
    ]
    assert missing == []


def test_every_call_stands_in_the_protocol_with_its_arguments():
    for kind in get_args(Call):
        info = msgspec.inspect.type_info(kind)
        lines = protocol.__doc__[protocol.__doc__.index(f"\n    {info.tag} ") :][:400]
        for field in info.fields:
            mark = "" if field.required else "?"
            assert re.search(rf"\b{field.name}{re.escape(mark)}", lines), (info.tag, field.name)
