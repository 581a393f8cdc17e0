"""An executor on the bus: a signal is acknowledged after its fills are stored, never before."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from ntp.connection import Ack, Link
from ntp.contract import subjects
from ntp.contract.beat import Flow
from ntp.contract.launch import LaunchFile
from ntp.contract.names import Channel, Kind
from ntp.plugin import BasePlugin, ExecutorPlugin
from ntp.runner.beats import Figures
from ntp.runner.core import border
from ntp.runner.core.executor import ExecutorWork
from ntp.runner.core.objects import Maker
from ntp.runner.flag import Flag
from ntp.runner.listener import Listener

EXPIRE_S = 1.0
PULL = 256


class ExecutorPart:
    def __init__(
        self,
        launch: LaunchFile,
        maker: Maker[ExecutorPlugin],
        incarnation: str,  # noqa: ARG002 - the same for all parts
        refusals: border.Refusals,
    ) -> None:
        self._launch = launch
        self._refusals = refusals
        self._work = ExecutorWork(maker, launch.inputs, refusals=refusals)
        self._listener = Listener(
            launch, refusals, open_lead=self._work.open, feed=self._work.feed, emit=self._emit
        )
        self._hears_data = any(one.kind is Kind.DATA_SOURCE for one in launch.inputs)
        self._emitting = asyncio.Lock()
        self._unsettled: deque[tuple[list[asyncio.Future[Ack]], list[Any]]] = deque()
        """Fills on their way to the broker, and what to acknowledge once they are there."""
        self._work_to_settle = asyncio.Event()
        self._sent: dict[tuple[str, str], int] = {}
        self._finished = False
        self._stopped = Flag()
        self._idle: set[asyncio.Task[Any]] = set()
        self._link: Link

    def prepare(self) -> None:
        self._work.prepare()

    async def start(self) -> None:
        await self._work.start()

    async def listen(self, link: Link) -> None:
        self._link = link
        await self._listener.listen(link)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            settling = tasks.create_task(self._settle_for_ever())
            async with asyncio.TaskGroup() as hearing:
                for strategy in self._work.mandates:
                    hearing.create_task(self._hear(strategy))
                while not await self._stopped.within(EXPIRE_S):
                    await self._work.expire(time.monotonic())
                    await self._finish()
                    await self._emit()
            settling.cancel()

    def stop(self) -> None:
        self._stopped.set()
        for task in self._idle:
            task.cancel()

    async def drain(self) -> None:
        await self._link.drain()
        await self._emit()
        await self._settle()
        await self._link.drain()  # the last acknowledgements leave

    def exhausted(self) -> bool:
        return self._finished and not self._unsettled and not self._link.stats.unacked

    def figures(self) -> Figures:
        intake = self._listener.intake
        return Figures(
            sent=[
                Flow(peer=strategy, channel=Channel.FILL, symbol=symbol, count=count, through=count)
                for (strategy, symbol), count in self._sent.items()
            ],
            received=[
                *intake.flows(),
                *(
                    Flow(peer=name, channel=Channel.SIGNAL, symbol=symbol, count=count)
                    for name, mandate in self._work.mandates.items()
                    for symbol, count in mandate.signals.items()
                ),
            ],
            newest=intake.newest,
            report=self._work.report(),
            warnings=self._listener.warnings() | self._work.conditions(),
        )

    def busy(self) -> Iterable[tuple[str, float]]:
        return self._work.busy()

    def objects(self) -> Iterable[BasePlugin]:
        return self._work.all()

    async def _hear(self, strategy: str) -> None:
        task: Any = asyncio.current_task()
        while not self._stopped.is_set():
            # Only waiting may be cancelled: an order that is being placed is seen through.
            self._idle.add(task)
            messages = await self._link.pull(strategy, PULL)
            self._idle.discard(task)
            for message in messages:
                if self._stopped.is_set():
                    return
                await self._work.heard(strategy, message.payload, message)
                if self._work.made:
                    await self._emit()
            await self._finish()

    async def _finish(self) -> None:
        """Close the books when everything that we listen to has ended."""
        intake = self._listener.intake
        ended = self._work.ended and (intake.ended or not self._hears_data)
        if ended and not self._finished:
            await self._work.finish()
            await self._emit()
        self._finished = ended

    async def _emit(self) -> None:
        async with self._emitting:
            while self._work.made:
                outcome = self._work.made.pop(0)
                stored = []
                for fill in outcome.fills:
                    subject = subjects.fill(fill.strategy, fill.symbol)
                    payload = border.encoded(fill)
                    stored.append(await self._link.submit(subject, payload, fill.id))
                    key = (fill.strategy, fill.symbol)
                    self._sent[key] = self._sent.get(key, 0) + 1
                self._unsettled.append((stored, outcome.tokens))
                self._work_to_settle.set()

    async def _settle_for_ever(self) -> None:
        while True:
            self._work_to_settle.clear()
            await self._settle()
            await self._work_to_settle.wait()

    async def _settle(self) -> None:
        """Acknowledge signals once the fills before them are stored, in order."""
        while self._unsettled:
            stored, tokens = self._unsettled[0]
            for future in stored:
                await asyncio.shield(future)
            for token in tokens:
                await self._link.ack(token)
            self._unsettled.popleft()
