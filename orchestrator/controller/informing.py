"""Says what this controller is: release, broker, and what the machine can isolate."""

import asyncio
import os
import platform

from orchestrator.controller.loop import Loop
from orchestrator.controller.picture import BROKER
from orchestrator.controller.rooms import Rooms
from orchestrator.decide.report import BrokerInfo, Info
from orchestrator.decide.state import Isolation
from orchestrator.errors import ActionError, NtpError

ISOLATION_S = 20.0


class Informing:
    """Made when the controller is."""

    def __init__(self, rooms: Rooms, loop: Loop) -> None:
        self._rooms = rooms
        self._loop = loop
        self._started = rooms.outside.now()
        self._isolation: Isolation | None = None

    async def info(self) -> Info:
        outside = self._rooms.outside
        current = outside.store.current()
        revision = self._rooms.desk.book.revision
        return Info(
            project=outside.project,
            version=outside.version,
            python=platform.python_version(),
            pid=os.getpid(),
            epoch=outside.lease.epoch,
            started=self._started,
            revision=revision,
            applied=current.applied if current and current.number == revision else None,
            runtime=outside.runtime.name,
            isolation=await self._isolated(),
            broker=await self._broker(),
            listening_since=outside.bus.listening_since,
            conditions=self._rooms.journal.conditions(),
            state_folder=outside.state_folder,
        )

    async def _isolated(self) -> Isolation | None:
        if self._isolation is None:
            try:
                async with asyncio.timeout(ISOLATION_S):
                    self._isolation = await self._rooms.outside.runtime.isolation()
            except (NtpError, TimeoutError):
                return None
        return self._isolation

    async def _broker(self) -> BrokerInfo:
        instance = (self._loop.observed.instances or {}).get(BROKER)
        broker, rights = self._rooms.outside.broker, self._rooms.rights
        try:
            external = broker.launch() is None
            address = broker.address()
        except ActionError as error:
            return BrokerInfo("", error.reason, str(error), [str(error)])
        phase = "external" if external else instance.phase.value if instance else "absent"
        problems = await rights.check() if rights.compared else ()
        return BrokerInfo(address, phase.capitalize(), "; ".join(problems), problems)
