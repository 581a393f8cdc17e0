"""One project on a machine in memory, whose controllers come and go."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

from orchestrator.controller.controller import Controller
from orchestrator.controller.outside import Edit, Outside, Tempo
from orchestrator.decide.findings import Patience
from orchestrator.decide.policy import Policy, Tries
from orchestrator.errors import UnreachableError
from orchestrator.ports import Asked, Notifier
from orchestrator.store.lease import FileLease
from orchestrator.store.secrets import LocalSecrets
from orchestrator.store.sqlite import SqliteStore
from tests.worlds.memory import (
    Machine,
    MemoryRuntime,
    eventually,
)
from tests.worlds.memory_bus import MemoryBroker, MemoryBus, MemoryCatalog

FAST = Policy(
    stable=timedelta(milliseconds=400),
    healthy=timedelta(milliseconds=50),
    first_delay=timedelta(milliseconds=20),
    longest_delay=timedelta(milliseconds=200),
    give_up_after=4,
    hold=timedelta(milliseconds=300),
    generation_deadline=timedelta(milliseconds=300),
    push_again=timedelta(milliseconds=50),
    push_deadline=timedelta(milliseconds=200),
    beat_interval=timedelta(milliseconds=20),
)
TEMPO = Tempo(
    relist=timedelta(milliseconds=40),
    pause=timedelta(milliseconds=1),
    look=timedelta(seconds=1),
    first_retry=timedelta(milliseconds=10),
    longest_retry=timedelta(milliseconds=100),
    most_actions=200,
    capture=timedelta(milliseconds=300),
    follow=timedelta(milliseconds=5),
    settled=timedelta(milliseconds=40),
    unfinished=timedelta(milliseconds=400),
    alerts=timedelta(milliseconds=10),
)
PATIENCE = Patience(
    steady=FAST.stable,
    stalled=timedelta(milliseconds=100),
    feed=timedelta(milliseconds=200),
    project=timedelta(milliseconds=200),
    quiet=timedelta(milliseconds=300),
)
TRIES = Tries(most=4, first=timedelta(milliseconds=20), longest=timedelta(milliseconds=100))

FLEET = """\
plugins:
  data_sources:
    - name: binance_data
      config: {symbols: [BTCUSDT]}
  strategies:
    - name: bollinger
      timeout: 100ms
      config: {period: 20, std_dev: 2.0}
    - name: momentum
      timeout: 100ms
      config: {lookback: 14}
  executors:
    - name: paper
      timeout: 100ms
"""
NAMES = {"binance_data", "bollinger", "momentum", "paper"}


class FailingStore(SqliteStore):
    """The real store, on a disk that may be full; or one that writes behind, and cannot."""

    away = False
    behind = False
    cut_off = ""
    """The setting before whose write the disk is full."""

    def set(self, key, value):
        if key == self.cut_off:
            raise UnreachableError("the state file cannot be written: disk is full")
        super().set(key, value)

    async def kept(self, *, setting="", record=""):
        if self.behind:
            raise UnreachableError("it could not be kept within 10 s: the lease is not held")
        await super().kept(setting=setting, record=record)

    def _change(self, **how):
        if self.away:
            raise UnreachableError("the state file cannot be written: disk is full")
        return super()._change(**how)


class House:
    """One project's state folder and machine; controllers come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = Machine()
        self.runtime = MemoryRuntime(self.machine)
        self.broker = MemoryBroker(self.machine)
        self.bus = MemoryBus(self.machine)
        self.catalog = MemoryCatalog(folder)
        self.environment: dict[str, str] = {}
        self.policy = FAST
        self.tempo = TEMPO
        self.controller: Controller | None = None
        self.store: FailingStore | None = None
        self.ended: bool | None = None
        self.followed: Callable[[], Edit] | None = None
        self.reread: Callable[[Asked], Edit | None] = lambda _asked: None
        self.notifier: Notifier | None = None
        self.keys_behind = False
        """Keys of the bus are where only this controller finds them."""

    @asynccontextmanager
    async def controlled(self):
        """Run a controller as long as the block lasts; leaving it is a kill, no goodbye."""
        lease = FileLease(self.folder)
        with FailingStore.open(self.folder / "state.db") as store:
            self.store = store
            async with lease:
                secrets = LocalSecrets(
                    self.folder, folder=self.folder, environment=self.environment
                )
                self.controller = Controller(
                    Outside(
                        project="desk",
                        runtime=self.runtime,
                        broker=self.broker,
                        bus=self.bus,
                        catalog=lambda _settings: self.catalog,
                        store=store,
                        secrets=secrets,
                        lease=lease,
                        policy=self.policy,
                        tempo=self.tempo,
                        followed=self.followed,
                        reread=self.reread,
                        notifier=self.notifier,
                        patience=PATIENCE,
                        tries=TRIES,
                        keys_kept=self.keys_kept,
                    )
                )
                async with asyncio.TaskGroup() as tasks:
                    running = tasks.create_task(self._run(self.controller))
                    try:
                        yield self.controller
                    finally:
                        running.cancel()

    def damage(self, table: str, key: str | int) -> None:
        """Have the disk turn a row of the state file into something else."""
        name, body = {
            "settings": ("key", "value"),
            "revisions": ("number", "body"),
            "records": ("name", "body"),
        }[table]
        with closing(sqlite3.connect(self.folder / "state.db")) as file, file:
            query = f"UPDATE {table} SET {body} = 'x' WHERE {name} = ?"  # noqa: S608 - constants
            file.execute(query, (key,))

    async def keys_kept(self) -> None:
        if self.keys_behind:
            raise UnreachableError("the keys could not be kept within 10 s")

    async def _run(self, controller: Controller) -> None:
        self.ended = await controller.run()

    async def apply(self, text=FLEET, **order):
        """Return (preview, progress, outcome)."""
        asked = {
            "settings": {"folder": str(self.folder)},
            "secrets": {},
            "expect": None,
            "allow_deletes": False,
            "pins": {},
            "wait": True,
            "deadline": timedelta(seconds=8),
        } | order
        items = [item async for item in self.controller.apply([("plugins.yaml", text)], **asked)]
        return items[0], items[1:-1], items[-1]

    async def preview(self, text=FLEET, **order):
        asked = {"settings": {}, "secrets": {}, "pins": {}} | order
        return await self.controller.preview([("plugins.yaml", text)], **asked)

    async def status(self, name):
        return (await self.controller.status(name)).plugins[0]

    async def until(self, name, said, *, within_s=30.0):
        """Poll the status of `name` until `said(status)`; return it."""
        ends = asyncio.get_running_loop().time() + within_s
        while True:
            status = await self.status(name)
            if said(status):
                return status
            assert asyncio.get_running_loop().time() < ends, status
            await asyncio.sleep(0.005)

    async def passes(self, count):
        """Return when the loop has looked and planned so many more times."""
        loop = self.controller._loop
        number = loop.done + count
        await eventually(lambda: loop.done >= number)

    async def healthy(self, name):
        """Return when the running generation of `name` is one that can be gone back to."""
        memories, instance = self.controller._rooms.memories, self.machine.instances[name]
        await eventually(lambda: memories.of(name).healthy_generation == instance.generation)

    def starts(self, name):
        return self.machine.history.count(("start", name))

    async def condition(self, type_):
        conditions = (await self.controller.status(None)).conditions
        return next((each for each in conditions if each.type == type_), None)

    async def reasons(self, name):
        return [each.reason for each in await self.controller.events(name, limit=100)]


async def finish(items):
    return [item async for item in items][-1]
