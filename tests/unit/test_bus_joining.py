"""Servers of the broker that come, go, and are forgotten."""

import asyncio
import json

import pytest

from orchestrator.bus import joining
from orchestrator.bus.joining import SILENT, Joining


class Heard:
    """A life of the system account, to which servers speak when they are told to."""

    def __init__(self):
        self.client = self
        self._take = None

    def new_inbox(self):
        return "inbox"

    async def receive(self, _, take):
        self._take = take

    async def publish(self, *_, **__):
        pass

    def say(self, server, *routes):
        statsz = {"routes": [{"rid": each} for each in routes]}
        self._take(joining.SAID, json.dumps({"server": {"id": server}, "statsz": statsz}).encode())


@pytest.fixture
async def servers():
    now = [100.0]
    made, heard = Joining(asyncio.Event(), lambda: now[0]), Heard()
    await made.attend(heard)
    return made, heard, now


async def test_one_that_is_told_waits_no_more_until_it_has_a_new_route(servers):
    made, heard, _ = servers
    heard.say("A", 1)
    assert made.waiting() == {"A"}
    made.told(made.waiting())
    heard.say("A", 1)
    assert made.waiting() == frozenset()
    heard.say("A", 1, 2)
    assert made.waiting() == {"A"}


async def test_one_that_was_silent_is_forgotten_and_joins_anew(servers):
    made, heard, now = servers
    heard.say("A", 1)
    made.told(made.waiting())
    now[0] += SILENT - 1
    heard.say("B", 1)
    heard.say("A", 1)
    assert made.waiting() == {"B"}
    made.told(made.waiting())
    now[0] += SILENT
    heard.say("A", 1)
    assert made.waiting() == {"A"}


async def test_many_that_came_and_went_take_no_room(servers):
    made, heard, now = servers
    for number in range(1_000):
        heard.say(f"server {number}", 1)
        now[0] += 10.0
        made.waiting()
    assert sum(len(each) for each in vars(made).values() if isinstance(each, dict)) < 20
