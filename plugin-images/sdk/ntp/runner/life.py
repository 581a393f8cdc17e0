"""One life of a plugin on the bus: connect, initialize, listen, work, drain."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from ntp.connection import Link, connect
from ntp.contract import subjects
from ntp.contract.beat import Stage
from ntp.contract.launch import LaunchFile
from ntp.runner.beats import Beats
from ntp.runner.core import border
from ntp.runner.core.edge import new_incarnation
from ntp.runner.ending import say
from ntp.runner.flag import Flag
from ntp.runner.part import Part
from ntp.runner.watch import Watch

LOOK_S = 0.1
"""Seconds from news to the look whether that was all: until then it has its effect."""
QUIET_S = 1.0
"""Seconds between two looks without any news."""
RESERVE = 0.2
"""Share of the grace that is kept for shutdown() and the last messages."""


class Life:
    """Runs a part until SIGTERM.

    Args:
        folder: of the launch files.
        incarnation: names this process life.
    """

    def __init__(
        self,
        *,
        launch: LaunchFile,
        folder: Path,
        part: Part,
        watch: Watch,
        refusals: border.Refusals,
        incarnation: str,
    ) -> None:
        self._launch = launch
        self._folder = folder
        self._part = part
        self._watch = watch
        self._refusals = refusals
        self._incarnation = incarnation
        self._stop = Flag()
        self._main: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._ready = False

    async def run(self) -> None:
        """Live; returns after a drain. Raises whatever ended it otherwise."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch.run(self._part.busy))
            self._main = tasks.create_task(self._connected())
            await asyncio.wait([self._main])
            watching.cancel()

    def _told_to_stop(self) -> None:
        self._stop.set()
        if self._link is not None:
            self._link.news.ring()
        if not self._ready and self._main is not None:
            self._main.cancel()

    async def _connected(self) -> None:
        launch = self._launch
        async with connect(
            self._folder,
            launch.bus,
            plain=launch.plain_network,
            name=launch.instance,
            proxy=launch.proxy,
            on_error=say,
        ) as link:
            self._link = link
            beats = self._beats(link)
            async with asyncio.TaskGroup() as tasks:
                beating = tasks.create_task(beats.run())
                await self._part.start(link)
                await self._part.listen()
                self._ready = True
                beats.stage = Stage.READY
                working = tasks.create_task(self._part.run())
                await self._work(link, beats)
                beats.stage = Stage.DRAINING
                await self._end(link, working)
                beating.cancel()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._launch.grace_s * RESERVE / 2):
                        await beats.once()
                        await link.drain()  # the last beat leaves

    def _beats(self, link: Link) -> Beats:
        async def publish(payload: bytes) -> None:
            await link.publish(subjects.BEAT, payload)

        return Beats(self._launch, self._incarnation, self._refusals, self._part.figures, publish)

    async def _work(self, link: Link, beats: Beats) -> None:
        """Wait for the signal to stop; tell when there is nothing more to come."""
        while not await self._stop.within(LOOK_S):
            rung = link.news.rung
            beats.stage = Stage.EXHAUSTED if self._part.exhausted() else Stage.READY
            await link.news.after(rung, QUIET_S)

    async def _end(self, link: Link, working: "asyncio.Task[None]") -> None:
        """Finish within the grace: a plugin that takes longer is killed anyway."""
        grace = self._launch.grace_s
        self._part.stop()
        try:
            async with asyncio.timeout(grace * (1 - RESERVE)):
                await asyncio.wait([working])
                await self._part.drain()
        except TimeoutError:
            left = link.stats
            say(
                f"the grace of {grace:g} s was too short: {left.waiting} messages were not handled,"
                f" {left.unacked} not stored"
            )
        for plugin in self._part.objects():
            try:
                async with asyncio.timeout(grace * RESERVE / 2):
                    await plugin.shutdown()
            except Exception as error:  # noqa: BLE001 - the others shall be shut down too
                say(f"shutdown() raised {type(error).__name__}: {error}")


def new_life() -> str:
    """Return a name for this process life that sorts by time and that nobody else has."""
    return new_incarnation(time.time_ns() // 1_000_000, os.urandom(4).hex())
