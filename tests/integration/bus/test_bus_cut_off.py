"""A server of a cluster is cut off from the others for a while, and goes on to serve who is connected to it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from ntp.contract import subjects
from orchestrator.bus.client import Life, dial
from tests.integration.bus.conftest import DEADLINE, World, clustered
from tests.worlds.nats_cluster import Cluster, cluster
from tests.worlds.server_ways import Ways, ways


@pytest.fixture
async def between() -> AsyncIterator[Ways]:
    async with ways() as made:
        yield made


@pytest.fixture
def three(tmp_path: Path, between: Ways):
    with cluster(tmp_path / "cluster", ways=between) as made:
        yield made


@pytest.fixture
async def world(three: Cluster, tmp_path: Path) -> AsyncIterator[World]:
    async with clustered(three, tmp_path) as made:
        yield made


async def _leader(world, stream: str) -> int:
    async with world.core() as core:
        info = await core.ask(f"$JS.API.STREAM.INFO.{stream}")
    return int(info["cluster"]["leader"].removeprefix("nats"))


async def _shows_its_copy(three: Cluster, number: int, stream: str) -> bool:
    """Say whether a server answers a direct get of a stream from its own copy."""
    subject = f"$JS.API.DIRECT.GET.{stream}.>"
    async with dial(three.address(number), three.external.system_credentials, name="test") as life:
        who = life.server["server_id"]
        asked = {"subscriptions": True, "test": f"{subject[:-1]}x", "limit": 100}
        answer = await life.ask(f"$SYS.REQ.SERVER.{who}.SUBSZ", asked)
    found = answer["data"].get("subscriptions_list") or ()
    return subject in [each["subject"] for each in found]


async def _reached(state: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await state():
            await asyncio.sleep(0.02)


class Asker:
    """Asks so often that every copy that answers at all is asked."""

    TIMES = 40

    def __init__(self, life: Life) -> None:
        self._client = life.client
        self.heard: list[bytes] = []

    async def ask(self, subject: str, body: bytes = b"") -> None:
        async def note(message: Msg) -> None:
            self.heard.append(message.data)

        inbox = self._client.new_inbox()
        await self._client.subscribe(inbox, cb=note)
        for _ in range(self.TIMES):
            await self._client.publish(subject, body, reply=inbox)
        for _ in range(2):  # nats-py's first PING overtakes what its own queue still holds
            await self._client.flush()


async def test_a_life_there_is_not_told_what_was_kept_before(world, three, between):
    """Its server has an older copy, and shows it to whoever asks for any copy."""
    async with world.core() as core:  # as if anybody might be asked
        config = (await core.ask("$JS.API.STREAM.INFO.STATE_beta"))["config"]
        await core.ask("$JS.API.STREAM.DELETE.STATE_beta")
        await core.ask("$JS.API.STREAM.CREATE.STATE_beta", config | {"allow_direct": True})
    leader = await _leader(world, "STATE_beta")
    behind = (leader + 1) % 3
    async with (
        world.link("beta", at=three.address(leader)) as one,
        world.link("beta", at=three.address(behind)) as next_,
        dial(three.address(behind), world.broker.credentials("beta"), name="beta") as beta,
        dial(three.address(behind), world.broker.core_credentials(), name="test") as core,
        asyncio.TaskGroup() as tasks,
    ):
        await one.bucket.store(b"old")
        await _reached(lambda: _shows_its_copy(three, behind, "STATE_beta"))
        assert await next_.bucket.load() == b"old"
        between.cut(behind)
        await one.bucket.store(b"new")
        any_copy, its_own = Asker(core), Asker(beta)
        told = tasks.create_task(next_.bucket.load())
        await its_own.ask(subjects.RECALL, b'{"last_by_subj": ">"}')
        await any_copy.ask("$JS.API.DIRECT.GET.STATE_beta.state.beta")
        await world.until(lambda: any_copy.heard)
        assert (set(any_copy.heard), its_own.heard, told.done()) == ({b"old"}, [], False)
        between.join(behind)
        assert await told == b"new"
        await world.until(lambda: len(its_own.heard) == Asker.TIMES)
        answers = [json.loads(each)["message"]["data"] for each in its_own.heard]
        assert {base64.b64decode(each) for each in answers} == {b"new"}
