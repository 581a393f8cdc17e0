"""A project whose controller answers on its socket, so that ntpctl can be run; its machine is in memory."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager

from ntp.package.wheels import Pip
from orchestrator.app.places import packaged
from orchestrator.app.rereading import Rereading
from orchestrator.catalog.catalog import LocalCatalog
from orchestrator.control.server import serving
from tests.worlds.house import House
from tests.worlds.memory_bus import MemoryCatalog
from tests.worlds.users import plain


class RealCode(MemoryCatalog):
    """Finds real plugins, with digests that ntpctl finds again; what runs is in memory all the same."""

    def __init__(self, folder):
        super().__init__(folder)
        self._local = LocalCatalog(
            project_folder=folder,
            cache=folder / "cache",
            bundled=packaged("plugin-images"),
            plugin_dir=folder / "plugins",
            pip=Pip({}),
        )

    async def resolve(self, wanted):
        return await self._local.resolve(wanted)


class Desk:
    """A project in a folder, applied through the controller; ntpctl asks its socket."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state" / "desk"
        self.state.mkdir(parents=True)
        self.house = House(self.state)
        self.house.reread = Rereading(self.state)

    @asynccontextmanager
    async def open(self):
        async with (
            self.house.controlled() as controller,
            serving(self.state / "controller.sock", controller),
        ):
            yield self

    async def apply(self, text):
        settings = {"folder": str(self.folder), "project": "desk"}
        await self.house.apply(text, settings=settings)

    async def ntpctl(self, *arguments, code=0, **environment):
        run = await asyncio.to_thread(
            subprocess.run,
            [
                sys.executable,
                "-m",
                "orchestrator",
                arguments[0],
                "--project",
                "desk",
                *arguments[1:],
            ],
            text=True,
            timeout=60,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env={
                **plain(),
                "NTP_STATE": str(self.folder / "state"),
                "NTP_CACHE": str(self.folder / "cache"),
                **environment,
            },
        )
        assert run.returncode == code, (run.stdout, run.stderr)
        return run
