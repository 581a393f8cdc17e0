"""The ways between the servers of a cluster: one of them can be cut off from the others, and be joined again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from itertools import permutations

_CHUNK = 64 * 1024


class Ways:
    """Made by `ways`. What is said while a way is cut arrives once it is whole again, as over any TCP."""

    def __init__(
        self, servers: Sequence[asyncio.Server], size: int, targets: Sequence[int]
    ) -> None:
        pairs = permutations(range(size), 2)
        self.ports = {
            pair: int(server.sockets[0].getsockname()[1])
            for pair, server in zip(pairs, servers, strict=True)
        }
        """Where a server finds another: (its number, the other's number) -> port."""
        self.targets = targets
        """The port on which each listens for the others."""
        self._carrying: list[tuple[tuple[int, int], asyncio.Task[None]]] = []
        self._whole = [asyncio.Event() for _ in range(size)]
        for number in range(size):
            self.join(number)

    def cut(self, number: int) -> None:
        """Let nothing pass between this server and the others; none of them is told."""
        self._whole[number].clear()

    def sever(self, number: int) -> None:
        """As `cut`, and what was said meanwhile is lost: the connections are broken."""
        self.cut(number)
        for pair, task in self._carrying:
            if number in pair:
                task.cancel()

    def join(self, number: int) -> None:
        self._whole[number].set()

    def carry(
        self,
        tasks: asyncio.TaskGroup,
        pair: tuple[int, int],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Connect the two until one of them ends it, or `end`."""
        self._carrying.append((pair, tasks.create_task(self._carry(pair, reader, writer))))

    async def end(self) -> None:
        await asyncio.sleep(0)  # who was taken just now is to be in his block, or nobody closes
        for _, task in self._carrying:
            task.cancel()

    async def _carry(
        self, pair: tuple[int, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ends = [self._whole[each] for each in pair]
        with suppress(OSError), closing(writer.transport):
            for whole in ends:
                await whole.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self.targets[pair[1]])
            with closing(back.transport):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_pass_on(reader, back, ends))
                    tasks.create_task(_pass_on(there, writer, ends))


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: Sequence[asyncio.Event]
) -> None:
    with suppress(OSError), closing(writer.transport):
        while data := await reader.read(_CHUNK):
            for whole in ends:
                await whole.wait()
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def ways(size: int = 3, *, targets: Sequence[int] = ()) -> AsyncIterator[Ways]:
    """Open one in each direction between any two of so many servers; `targets`: see `Ways`."""
    made: list[Ways] = []
    async with asyncio.TaskGroup() as tasks:

        async def serve(pair: tuple[int, int]) -> asyncio.Server:
            def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                made[0].carry(tasks, pair, reader, writer)

            return await asyncio.start_server(taken, "127.0.0.1", 0)

        servers = [await serve(pair) for pair in permutations(range(size), 2)]
        made.append(Ways(servers, size, targets))
        try:
            yield made[0]
        finally:
            for server in servers:
                server.close()
            await made[0].end()
