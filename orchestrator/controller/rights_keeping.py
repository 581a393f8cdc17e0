"""Has the broker know the rights that are wanted now, also when nobody is started."""

import asyncio
from collections.abc import Mapping

import structlog

from orchestrator.controller.agenda import Agenda
from orchestrator.controller.picture import BROKER
from orchestrator.controller.retries import Retries
from orchestrator.controller.rooms import Rooms
from orchestrator.decide.state import Instance, Phase
from orchestrator.errors import NtpError
from orchestrator.spec.model import Desired

RIGHTS = "rights on the bus"

log = structlog.get_logger()


class RightsKeeping:
    """Tries again, with a back-off, what the broker refused or did not answer."""

    def __init__(self, rooms: Rooms, agenda: Agenda, retries: Retries) -> None:
        self._rooms = rooms
        self._agenda = agenda
        self._retries = retries
        self._broker_life = ""
        self._ensuring = False

    def keep(
        self,
        desired: Desired,
        instances: Mapping[str, Instance],
        tasks: asyncio.TaskGroup,
        *,
        ours: bool,
    ) -> None:
        """Have them made as a task of `tasks`, where they are not. `ours`: the broker is one of `instances`."""
        rights, broker, desk = self._rooms.rights, instances.get(BROKER), self._rooms.desk
        alive = {name for name, each in instances.items() if each.phase is not Phase.EXITED}
        rights.want(desired, alive)
        life = broker.id if broker is not None and broker.phase is Phase.RUNNING else ""
        if life != self._broker_life:
            self._broker_life = life
            rights.doubt()
        idle = self._ensuring or rights.settled or desk.down is not None
        if idle or (ours and not life) or not desk.book.entries:
            return
        due = self._retries.due(RIGHTS, _clock())
        if due is not None and not rights.unasked:
            self._agenda.remind(RIGHTS, due)
            return
        self._ensuring = True
        tasks.create_task(self._ensure())

    async def _ensure(self) -> None:
        rights = self._rooms.rights
        before = dict(rights.refused)
        try:
            await rights.ensure()
        except Exception as error:
            # Told by the condition BrokerReady. A bug met here must not end the controller.
            if not isinstance(error, NtpError):
                log.exception("controller.bug", doing=RIGHTS)
            self._agenda.remind(RIGHTS, self._retries.later(RIGHTS, _clock()))
        else:
            self._retries.done(RIGHTS)
        finally:
            self._ensuring = False
            entries = self._rooms.desk.book.entries
            for name in (before.keys() - rights.refused.keys()) & entries.keys():
                # Its start need not wait for the next of its own tries.
                self._rooms.acts.take_back(name, before[name])
                self._agenda.mark(name)
            self._agenda.wake()


def _clock() -> float:
    return asyncio.get_running_loop().time()
