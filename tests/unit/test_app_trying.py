"""`ntpctl release test`: how it waits, and how it knows a try that runs from one that was cut off."""

import asyncio
import gc
import time
import weakref
from contextlib import contextmanager

import pytest

from orchestrator.app import trying
from orchestrator.app.reach import Reached
from orchestrator.errors import ActionError, ConfigError
from tests.worlds.answering import Desk


class Ways:
    """To one socket after the other; each is to be closed before the next."""

    def __init__(self, *sockets):
        self.sockets = [*sockets]
        self.open = 0

    @contextmanager
    def __call__(self):
        assert self.open == 0
        self.open += 1
        try:
            yield self.sockets.pop(0)
        finally:
            self.open -= 1


async def waited(way, lacking, ends, told):
    await asyncio.to_thread(trying.wait, way, lacking, ends, told.append)


async def test_a_leader_who_does_not_answer_is_looked_for_anew(tmp_path):
    desk, told = Desk(tmp_path), []
    gone, there = tmp_path / "gone.sock", desk.state / "controller.sock"
    way = Ways(gone, gone, there)
    lacks = iter(["one", "one", "another", ""])
    async with desk.open():
        await waited(way, lambda _: next(lacks), time.monotonic() + 60, told)
    assert (way.sockets, way.open) == ([], 0)
    nobody, *later = told
    assert "gone.sock" in nobody
    assert later == ["one", "another"], "each is said once"


async def test_what_was_lacking_at_the_end_is_why_it_fails(tmp_path):
    desk, told = Desk(tmp_path), []
    way = Ways(desk.state / "controller.sock")
    async with desk.open():
        with pytest.raises(ActionError, match=r"not within 200 s: no signal yet") as failed:
            await waited(way, lambda _: "no signal yet", time.monotonic() - 1, told)
    assert failed.value.reason == "NotInTime"
    assert (told, way.open) == (["no signal yet"], 0)


@pytest.mark.parametrize(
    ("annotations", "left_s"),
    [
        (None, 0),
        ({}, 0),
        ({"ntp.dev/try-ends": "soon"}, 0),
        ({"ntp.dev/try-ends": "1000"}, -700),
        ({"ntp.dev/try-ends": "1750"}, 50),
        # Of a clock that is ahead: no longer than a try takes.
        ({"ntp.dev/try-ends": "99999999999"}, 260),
    ],
)
def test_a_try_is_over_when_it_said_so(annotations, left_s):
    body = {"metadata": {"name": "ntp-try", "annotations": annotations}}
    assert trying.may_run_s(body, now=1700) == left_s


def test_a_way_that_is_closed_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    reached = Reached(None, None, tmp_path)
    with pytest.raises(ConfigError):
        reached.ask(lambda cluster: cluster.version())
    reached.close()
    seen = weakref.ref(reached)
    del reached
    gc.collect()
    assert seen() is None
