"""One preparation serves all who wait for it, and no comparison serves a start that was asked for later."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.controller.environments import Environments
from orchestrator.errors import ActionError
from orchestrator.launch import Environment
from orchestrator.spec.model import Artifact
from tests.worlds.memory import eventually

ARTIFACT = Artifact(
    plugin="mine",
    kind="strategy",
    version="1.0.0",
    digest="sha256:mine",
    entrypoint="mine:Mine",
    config_schema={},
    egress=(),
    secrets=(),
    requirements=(),
    code=Path("mine"),
    origin="here",
)


class Shelf:
    """A catalog, and what lies in its folder; each comparison waits until it is let go on."""

    def __init__(self):
        self.prepared = []
        self.compared = 0
        self.altered = False
        self.refusal = None
        self.go_on = threading.Semaphore(0)
        self.installed = asyncio.Event()

    async def prepare(self, artifact):
        self.prepared.append(artifact.digest)
        await self.installed.wait()
        if self.refusal is not None:
            raise self.refusal
        self.altered = False
        return Environment(Path("python"), (), artifact.digest, unaltered=self._unaltered)

    def _unaltered(self):
        found = not self.altered
        self.compared += 1
        assert self.go_on.acquire(timeout=30)
        return found


@pytest.fixture
async def shelf():
    return Shelf()


async def test_fifty_starts_of_one_plugin_prepare_it_once_and_compare_it_once(shelf):
    environments = Environments()
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(environments.of(ARTIFACT, shelf)) for _ in range(50)]
        await eventually(lambda: shelf.prepared)
        shelf.installed.set()
        shelf.go_on.release()  # of those who asked while it was prepared
    assert {each.result().digest for each in asked} == {ARTIFACT.digest}
    assert (shelf.prepared, shelf.compared) == ([ARTIFACT.digest], 1)


async def test_what_is_altered_while_another_start_compares_is_noticed(shelf):
    environments = Environments()
    shelf.installed.set()
    await environments.of(ARTIFACT, shelf)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(environments.of(ARTIFACT, shelf))
        await eventually(lambda: shelf.compared)  # it has read what lies there, and waits
        shelf.altered = True
        tasks.create_task(environments.of(ARTIFACT, shelf))
        shelf.go_on.release(2)
    assert shelf.compared == 2
    assert len(shelf.prepared) == 2


async def test_one_digest_waits_for_no_other(shelf):
    environments, other = Environments(), Shelf()
    other.installed.set()
    async with asyncio.TaskGroup() as tasks:
        waits = tasks.create_task(environments.of(ARTIFACT, shelf))
        await eventually(lambda: shelf.prepared)
        found = await environments.of(replace(ARTIFACT, digest="sha256:other"), other)
        assert found.digest == "sha256:other"
        assert not waits.done()
        shelf.installed.set()


async def test_who_is_refused_or_gives_up_leaves_the_next_to_try(shelf):
    environments = Environments()
    shelf.refusal = ActionError("no wheels")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await environments.of(ARTIFACT, shelf)
    shelf.installed.set()
    with pytest.raises(ActionError, match="no wheels"):
        await environments.of(ARTIFACT, shelf)
    shelf.refusal = None
    assert (await environments.of(ARTIFACT, shelf)).digest == ARTIFACT.digest
    assert len(shelf.prepared) == 3
