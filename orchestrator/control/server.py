"""Answer on the controller's Unix socket. One call a connection; every wait has a deadline."""

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from orchestrator.control.address import short
from orchestrator.control.answers import Message, answer
from orchestrator.control.calls import Operations, read
from orchestrator.control.protocol import ALIVE_S, LONGEST_LINE, error_line
from orchestrator.errors import ActionError, NtpError, UnreachableError

MOST_CLIENTS = 64
REQUEST_S = 30.0
"""To send a request, up to 16 MiB of files."""
WRITE_S = 30.0
"""For a client to take what it asked for."""
FAREWELL_S = 3.0
"""For answers under way when the controller ends."""
WAITING = 256
"""Messages that wait for a slow client, before whoever makes them waits too."""

BUG = "the controller met a bug; its log has the details"

log = structlog.get_logger()


@asynccontextmanager
async def serving(path: Path, operations: Operations) -> AsyncIterator[None]:
    """Listen at `path` while the context lasts; then finish what is being answered and hang up.

    Only a holder of the project's lease may call this: it replaces the socket it finds.

    Raises:
        UnreachableError: the socket cannot be made.
    """
    listener, made = _listen(path)
    try:
        async with asyncio.TaskGroup() as tasks:
            server = _Server(operations, tasks, listener)
            server.listen()
            try:
                yield
            finally:
                await server.farewell()
    finally:
        listener.close()
        # Not that of a successor: who removes the state folder is no longer waited for by the next one.
        if _inode(path) == made:
            path.unlink(missing_ok=True)  # noqa: ASYNC240 - one call, at the end


@asynccontextmanager
async def serving_pod(port: int, operations: Operations) -> AsyncIterator[None]:
    """Listen at a port of this pod's loopback, to which the API server forwards whom it lets.

    Nobody else is there: a pod's loopback is its own, and this is its only container.

    Raises:
        UnreachableError: the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(MOST_CLIENTS)
        listener.setblocking(False)
        async with asyncio.TaskGroup() as tasks:
            server = _Server(operations, tasks, listener)
            server.listen()
            try:
                yield
            finally:
                await server.farewell()
    except OSError as error:
        raise UnreachableError(f"port {port} of this pod cannot be listened at: {error}") from error
    finally:
        listener.close()


class _Server:
    def __init__(
        self, operations: Operations, tasks: asyncio.TaskGroup, listener: socket.socket
    ) -> None:
        self._operations = operations
        self._tasks = tasks
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._clients: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def listen(self) -> None:
        # Not sock_accept: cancelled at the wrong moment, it loses a connection that it has accepted.
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            # Out of descriptors: those who are served will give some back.
            log.warning("control.accept", error=str(error))
            self._loop.remove_reader(self._listener)
            self._pause = self._loop.call_later(0.5, self.listen)
            return
        client = self._tasks.create_task(self._client(connection))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        # Also where the task was cancelled before its first step.
        client.add_done_callback(lambda _: connection.close())

    async def farewell(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        if self._clients:
            await asyncio.wait(self._clients, timeout=FAREWELL_S)
        for client in list(self._clients):
            client.cancel()

    async def _client(self, connection: socket.socket) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            opened = (
                asyncio.open_unix_connection if _is_local(connection) else asyncio.open_connection
            )
            reader, writer = await opened(sock=connection, limit=LONGEST_LINE)
            await self._converse(reader, writer, connection)
        except (OSError, TimeoutError):
            return  # the client left, or does not read
        except Exception:
            # The edge of the process: one client's bug must not take the loop with it.
            log.exception("control.bug")
        finally:
            if writer is not None:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: socket.socket,
    ) -> None:
        try:
            _admit(connection, len(self._clients))
            async with asyncio.timeout(REQUEST_S):
                raw = await reader.readline()
            if not raw:
                return  # it only looked whether somebody answers
            async with aclosing(answer(read(raw), self._operations)) as messages:
                await _send(messages, reader, writer)
        except NtpError as error:
            await _write(writer, error_line(error))
        except ValueError:
            longest = f"a request holds at most {LONGEST_LINE >> 20} MiB"
            await _write(writer, error_line(ActionError(longest, reason="BadCall", permanent=True)))
        except Exception:
            log.exception("control.bug")
            await _write(writer, error_line(NtpError(BUG)))


async def _send(
    messages: AsyncGenerator[Message, None],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Send what comes until the end of it or of the client; raises what the operation raises."""
    queue: asyncio.Queue[Message | NtpError | None] = asyncio.Queue(WAITING)

    async def produce() -> None:
        try:
            async for message in messages:
                await queue.put(message)
            await queue.put(None)
        except NtpError as error:
            await queue.put(error)
        except Exception:
            log.exception("control.bug")
            await queue.put(NtpError(BUG))

    try:
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(produce()), tasks.create_task(_hang_up(reader, queue))]
            try:
                while (message := await _next(queue)) is not None:
                    if isinstance(message, NtpError):
                        await _write(writer, error_line(message))
                        break
                    # msgspec, not json: a NaN of a plugin becomes null, which every reader takes.
                    await _write(writer, msgspec.json.encode(message) + b"\n")
            finally:
                for helper in helpers:
                    helper.cancel()
    except* OSError:
        pass  # the client left, or does not read


async def _next(queue: asyncio.Queue[Message | NtpError | None]) -> Message | NtpError | None:
    """While nothing comes, say that we are alive."""
    try:
        async with asyncio.timeout(ALIVE_S):
            return await queue.get()
    except TimeoutError:
        return {"event": "alive"}


async def _hang_up(
    reader: asyncio.StreamReader, queue: asyncio.Queue[Message | NtpError | None]
) -> None:
    """End the answer when the client leaves. One call a connection: whatever else it says is not heard."""
    with contextlib.suppress(OSError):
        while await reader.read(1024):
            pass
    await queue.put(None)


async def _write(writer: asyncio.StreamWriter, raw: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        writer.write(raw)
        await writer.drain()


def _admit(connection: socket.socket, clients: int) -> None:
    """Raise ActionError for a peer of another user, or one too many."""
    if sys.platform == "linux" and _is_local(connection):
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", raw)
        if uid not in (0, os.geteuid()):
            raise ActionError(
                f"user {uid} may not command the plugins of user {os.geteuid()}",
                reason="NotAllowed",
                permanent=True,
            )
    if clients > MOST_CLIENTS:
        raise ActionError(f"{MOST_CLIENTS} clients are being served", reason="TooManyClients")


def _is_local(connection: socket.socket) -> bool:
    return connection.family is socket.AF_UNIX


def _inode(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from a later one of the same name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _listen(path: Path) -> tuple[socket.socket, tuple[int, int] | None]:
    """Return the socket, and which file it is."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        with short(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen(MOST_CLIENTS)
        listener.setblocking(False)
    except (OSError, UnreachableError) as error:
        listener.close()
        if isinstance(error, UnreachableError):
            raise
        raise UnreachableError(f"the socket {path} cannot be made: {error}") from error
    return listener, _inode(path)
