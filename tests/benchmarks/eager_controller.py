"""The controller of a project, to which every life was a stable one: no restart waits for a back-off.

    python -m tests.benchmarks.eager_controller --project NAME --file FILE

All the rest is what `ntpctl serve` runs.
"""

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from orchestrator.app import (
    bare_structlog,  # noqa: F401 - as `serve` does, before anybody imports structlog
    on_machine,
)
from orchestrator.control.protocol import SOCKET
from orchestrator.control.server import serving
from orchestrator.controller.controller import Controller
from orchestrator.decide.policy import Policy
from orchestrator.settings import Settings, find
from orchestrator.store.lease import FileLease

POLICY = Policy(stable=timedelta(0))


async def serve(settings: Settings) -> None:
    async with FileLease(settings.state) as lease, on_machine.outside(settings, lease) as given:
        controller = Controller(replace(given, policy=POLICY))
        async with serving(settings.state / SOCKET, controller):
            await controller.run()


if __name__ == "__main__":
    _, _, project, _, file = sys.argv
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(find([file], project=project)))
