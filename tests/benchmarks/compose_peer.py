"""The peer of `compose`: docker compose v2 with as many containers of the same image.

They import what a plugin's runner imports, connect with the same client to a nats-server in their network,
and say who they are once a second; they have the same limits and the same hardening. Their network is what
differs: compose gives each a namespace of its own, bridged and with names.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time

import nats

from ntp.confine import seccomp
from orchestrator.bus import server_binary
from orchestrator.runtime.docker.hardening import LOG, SHARES
from orchestrator.runtime.view import NOFILE
from tests.worlds.engine import REPOSITORY

AGAIN = 5
"""How often a command is measured that has nothing to do: it takes a tenth of a second."""
PROGRAM = """
import asyncio, gc, signal, sys
gc.disable()
from pathlib import Path
import ntp.runner.__main__, ntp.runner.life, ntp.runner.strategy_part
from ntp.connection import connect
from ntp.contract.launch import BusAddress
async def main():
    bus = BusAddress(['nats://bus:4222'], None)
    async with connect(Path('/'), bus, plain=True, name=sys.argv[1]) as link:
        while True:
            await link.publish('beat', sys.argv[1].encode())
            await link.flush()
            await asyncio.sleep(1)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
asyncio.run(main())
"""


class Compose:
    """The peer: docker compose v2, on a network of its own, as it does by itself."""

    name = "compose"

    def __init__(self, folder, engine, image, count):
        self.folder = folder / "peer"
        self.folder.mkdir()
        self.engine = engine
        self.image = image
        self.count = count
        said = subprocess.run(
            [REPOSITORY / "requirements/compose", REPOSITORY / "dist/compose"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        self.binary = said.stdout.strip()
        self.server = server_binary.find()

    def declare(self, *, changed=20):
        python = "/usr/bin/python3"
        services = {
            "bus": {
                "image": self.engine.run("images", "--quiet", "ntp-broker").split()[0],
                "command": [str(self.server)],
                "stop_grace_period": "5s",
            }
        }
        for number in range(self.count):
            services[f"plugin-{number}"] = {
                "image": self.image,
                "entrypoint": [python, "-S", "-s", "-P", "-c", PROGRAM, f"plugin-{number}"],
                "environment": {"PERIOD": str(changed if number == 0 else 20)},
                "stop_grace_period": "5s",
                **self._hardened(),
            }
        document = {"name": "fifty-compose", "services": services}
        (self.folder / "compose.json").write_text(json.dumps(document))

    def _hardened(self):
        """What a plugin's container has (see `hardening`), as compose writes it."""
        profile = self.folder / "seccomp.json"
        profile.write_text(seccomp.profile(inet=True, datagrams=True))
        return {
            "user": "65532:65532",
            "init": True,
            "mem_limit": "512m",
            "memswap_limit": "512m",
            "cpus": 1.0,
            "cpu_shares": SHARES,
            "pids_limit": 64,
            "shm_size": "1m",
            "ulimits": {"core": 0, "memlock": 65536, "msgqueue": 0, "nofile": NOFILE},
            "read_only": True,
            "tmpfs": ["/tmp:rw,noexec,nosuid,nodev,size=67108864,mode=1777"],
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true", f"seccomp:{profile}"],
            "logging": {"driver": LOG["Type"], "options": LOG["Config"]},
        }

    def run(self, *words):
        began = time.monotonic()
        subprocess.run(
            [self.binary, "--file", self.folder / "compose.json", "--progress", "quiet", *words],
            env=os.environ | {"DOCKER_HOST": self.engine.url}, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        return time.monotonic() - began

    def _down(self):
        """Take all down; anew where compose gave up, as it may on a machine that others use."""
        began = time.monotonic()
        try:
            self.run("down", "--timeout", "5")
        except subprocess.CalledProcessError as error:
            print(f"  {self.name}, down: {error.stderr.strip()}", file=sys.stderr, flush=True)
            self.run("down", "--timeout", "5")
        return time.monotonic() - began

    def round(self):
        self.declare()
        try:
            began = time.monotonic()
            self.run("up", "--detach")
            asyncio.run(self._heard(self.count))
            taken = {
                "up": time.monotonic() - began,
                "again": statistics.median(self.run("up", "--detach") for _ in range(AGAIN)),
            }
            self.declare(changed=30)
            began = time.monotonic()
            self.run("up", "--detach")
            asyncio.run(self._heard(self.count))
            taken["one"] = time.monotonic() - began
        finally:
            down = self._down()
        return taken | {"down": down}

    async def _heard(self, count):
        bus = self.engine.inspect("fifty-compose-bus-1")["NetworkSettings"]["Networks"]
        address = next(iter(bus.values()))["IPAddress"]
        names, full = set(), asyncio.Event()

        async def hear(message):
            names.add(message.data)
            if len(names) == count:
                full.set()

        client = await nats.connect(
            f"nats://{address}:4222",
            error_cb=_unheard,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
        )
        try:
            await client.subscribe("beat", cb=hear)
            async with asyncio.timeout(120):
                await full.wait()
        finally:
            await client.close()


async def _unheard(_):
    """The server is about to listen."""
