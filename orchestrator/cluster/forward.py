"""A Unix socket of this machine that leads to a port in a pod, through the API server.

The way is the one of `kubectl port-forward`: a websocket for each connection, on which channel 0
carries bytes and channel 1 the cluster's complaints (v4.channel.k8s.io). It knows no half-closed
connection: who has said all keeps it open until the answer is there.
"""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from orchestrator.cluster.calls import Calls
from orchestrator.cluster.kinds import POD
from orchestrator.errors import ActionError, NtpError

log = structlog.get_logger()
DATA, COMPLAINT = 0, 1
CHUNK: Final = 1 << 15
OPEN_S: Final = 15.0
PORT_BYTES: Final = 2
"""Each channel begins with the number of its port."""


@contextlib.asynccontextmanager
async def bridged(calls: Calls, namespace: str, pod: str, port: int) -> AsyncIterator[Path]:
    """See `Cluster.forward`."""
    # A refusal is told now and not when somebody connects.
    async with _channel(calls, namespace, pod, port):
        pass
    with tempfile.TemporaryDirectory(prefix="ntp-") as folder:
        path = Path(folder) / "forward.sock"  # the folder is ours alone (0700)
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
            listener.setblocking(False)
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen()
            async with asyncio.TaskGroup() as group:
                tasks: set[asyncio.Task[None]] = set()
                loop = asyncio.get_running_loop()

                def accept() -> None:
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        connection, _ = listener.accept()
                        connection.setblocking(False)
                        task = group.create_task(_serve(calls, namespace, pod, port, connection))
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)
                        task.add_done_callback(partial(_hang_up, connection))

                # Not asyncio's server: who connects while that is being closed hangs for ever (3.11).
                loop.add_reader(listener, accept)
                try:
                    yield path
                finally:
                    loop.remove_reader(listener)
                    for task in tasks:
                        task.cancel()


def _hang_up(connection: socket.socket, _: asyncio.Task[None]) -> None:
    """Close also what was cancelled before it began."""
    connection.close()


def _channel(calls: Calls, namespace: str, pod: str, port: int) -> Any:
    return calls.channel(
        POD.path(namespace, pod, "portforward"),
        what=f"reach port {port} of {pod}",
        query={"ports": port},
        within_s=OPEN_S,
    )


async def _serve(
    calls: Calls,
    namespace: str,
    pod: str,
    port: int,
    connection: socket.socket,
) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    try:
        async with _channel(calls, namespace, pod, port) as remote, asyncio.TaskGroup() as both:
            upwards = both.create_task(_up(reader, remote))
            try:
                await _down(remote, writer)
            finally:
                upwards.cancel()
    except* (ConnectionError, NtpError) as broken:
        cause = str(broken.exceptions[0])
        log.warning("cluster.forward.broken", pod=pod, port=port, cause=cause)
    finally:
        writer.close()


async def _up(reader: asyncio.StreamReader, remote: Any) -> None:
    while chunk := await reader.read(CHUNK):
        await remote.send_bytes(bytes([DATA]) + chunk)
    await remote.close()


async def _down(remote: Any, writer: asyncio.StreamWriter) -> None:
    """Until either side hangs up."""
    begun: set[int] = set()
    async for message in remote:
        if not isinstance(message.data, bytes) or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel not in begun:
            begun.add(channel)
            data = data[PORT_BYTES:]
        if not data:
            continue
        if channel == COMPLAINT:
            raise ActionError(data.decode(errors="replace"), reason="ForwardRefused")
        writer.write(data)
        await writer.drain()
