"""Connections to the real cluster, and a way to it that can be broken."""

import asyncio
import contextlib
import json
import time

import pytest

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.place import Place

DEADLINE_S = 60.0


async def until(claim, *, deadline_s=DEADLINE_S):
    """Wait until a claim holds, and return what it gave."""
    end = time.monotonic() + deadline_s
    while True:
        found = claim()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, "never became true"
        await asyncio.sleep(0.05)


class Road:
    """A TCP road to the API server that can be blocked: bytes wait, and nothing is closed."""

    def __init__(self, host, port):
        self._target = host, port
        self._open = asyncio.Event()
        self._open.set()
        self._writers = set()

    def block(self):
        self._open.clear()

    def unblock(self):
        self._open.set()

    def cut(self):
        """Break every connection that there is."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._writers |= {writer, far_writer}
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._carry(reader, far_writer))
                    group.create_task(self._carry(far_reader, writer))
            finally:
                self._writers -= {writer, far_writer}
                far_writer.close()
                writer.close()

    async def _carry(self, reader, writer):
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                await self._open.wait()
                writer.write(chunk)
                await writer.drain()
            writer.close()


@pytest.fixture
async def there(cluster, namespace):
    """A connection that works in the test's own namespace."""
    async with Cluster(Place(kubeconfig=cluster.kubeconfig, namespace=namespace)) as connected:
        yield connected


@pytest.fixture
async def road(cluster, namespace, tmp_path):
    """A road, and a kubeconfig that takes it."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    server = config["clusters"][0]["cluster"]["server"]
    host, _, port = server.removeprefix("https://").partition(":")
    made = Road(host, int(port))
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    here = listening.sockets[0].getsockname()[1]
    config["clusters"][0]["cluster"] |= {
        "server": f"https://127.0.0.1:{here}",
        "tls-server-name": host,
    }
    made.place = Place(kubeconfig=str(tmp_path / "config"), namespace=namespace)
    (tmp_path / "config").write_text(json.dumps(config))
    yield made
    made.unblock()
    made.cut()
    listening.close()
