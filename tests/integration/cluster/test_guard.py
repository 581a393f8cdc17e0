"""Who may change something is asked before a connection is opened, and again before the first byte goes out."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP
from orchestrator.errors import ConflictError, UnreachableError
from tests.worlds.api_server import serving

BODY = CONFIG_MAP.body("mark", data={"by": "one"})


class Leading:
    """A guard that grants so many requests."""

    def __init__(self, grants, left=60.0):
        self.grants = grants
        self.left = left

    def __call__(self):
        self.grants -= 1
        if self.grants < 0:
            raise ConflictError("the lease was lost")
        return self.left


@pytest.fixture
def opened(tmp_path):
    """Open a Cluster whose API server answers with these statuses, one after the other; None: never."""

    @asynccontextmanager
    async def opened(guard, *statuses):
        asked, answers = [], iter(statuses)

        async def answer(request):
            asked.append(request.method)
            status = next(answers)
            if status is None:
                await asyncio.Event().wait()
            return web.json_response(BODY, status=status)

        async with (
            serving(tmp_path, answer) as place,
            Cluster(place, guard=guard) as cluster,
        ):
            yield cluster, asked

    return opened


async def test_a_lease_that_is_lost_while_a_connection_is_opened_sends_nothing(opened):
    async with opened(Leading(1), 201) as (cluster, asked):
        with pytest.raises(ConflictError, match="lost"):
            await cluster.create(CONFIG_MAP, BODY)
        assert asked == []
        assert await cluster.get(CONFIG_MAP, "mark") == BODY
    async with opened(Leading(2), 201) as (cluster, asked):
        await cluster.create(CONFIG_MAP, BODY)
        assert asked == ["POST"]


async def test_the_second_try_with_a_fresh_token_is_asked_for_too(opened):
    async with opened(Leading(2), 401, 201) as (cluster, asked):
        with pytest.raises(ConflictError, match="lost"):
            await cluster.create(CONFIG_MAP, BODY)
        assert asked == ["POST"]


async def test_a_change_takes_no_longer_than_the_lease_is_held(opened):
    async with opened(Leading(9, left=0.3), None) as (cluster, asked):
        async with asyncio.timeout(5.0):
            with pytest.raises(UnreachableError):
                await cluster.create(CONFIG_MAP, BODY)
        assert asked == ["POST"]
