"""A port of a real pod as a socket of this machine, for the client that asks the controller."""

import asyncio
import socket

import pytest

from orchestrator.cluster.kinds import POD
from orchestrator.control import client
from orchestrator.errors import ActionError, UnreachableError
from tests.integration.cluster.conftest import until

SERVER = """
import json, socketserver
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        asked = json.loads(self.rfile.readline())
        for number in range(asked['events']):
            self.wfile.write(json.dumps({'event': 'alive', 'of': 'x' * 1000}).encode() + b'\\n')
        self.wfile.write(json.dumps({'result': {'heard': asked}}).encode() + b'\\n')
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
with Server(('127.0.0.1', 7000), Answer) as server:
    print('ready', flush=True)
    server.serve_forever()
"""


@pytest.fixture
async def server(there, cluster):
    """A pod that answers at port 7000 of its loopback, as a controller would."""
    python = cluster.python()
    container = {
        "name": "server",
        "image": python.image.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": [str(python.python), "-c", SERVER],
        "resources": {"requests": {"cpu": "10m"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 1234,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    await there.create(
        POD,
        POD.body("server", spec={"containers": [container], "terminationGracePeriodSeconds": 1}),
    )

    async def says():
        try:
            return [line async for line in there.logs("server", container="server")]
        except ActionError:
            return []  # it is not made yet

    await until(says)
    return "server"


async def test_a_client_that_blocks_asks_through_it_again_and_again(there, server):
    async with there.forward(server, 7000) as path:
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        for number in (0, 1, 300):
            answer = await asyncio.to_thread(client.ask, path, "status", events=number)
            assert answer["heard"] == {"call": "status", "events": number}
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(asyncio.to_thread(client.ask, path, "status", events=2))
    assert not path.exists()


async def test_a_port_at_which_nobody_answers_is_unreachable(there, server):
    async with there.forward(server, 7001) as path:
        with pytest.raises(UnreachableError):
            await asyncio.to_thread(client.ask, path, "status", events=0)


async def test_a_pod_that_is_not_there_is_told_at_once(there):
    with pytest.raises(ActionError, match="nobody"):
        async with there.forward("nobody", 7000):
            pass


async def test_leaving_the_block_hangs_up(there, server):
    async with there.forward(server, 7000) as path:
        connection = await asyncio.to_thread(_connect, path)
    assert await asyncio.to_thread(connection.recv, 1) == b""
    connection.close()


def _connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection
