"""A NATS cluster that is not ours: three real nats-servers in operator mode, as docs/nats.md has them."""

import asyncio
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from orchestrator.bus import server_binary
from orchestrator.bus.authority import Authority
from orchestrator.bus.client import dial
from orchestrator.bus.embedded import Embedded, Identity
from orchestrator.bus.external import External
from orchestrator.errors import UnreachableError
from tests.worlds.server_ways import Ways

DEADLINE = 30.0


class Cluster:
    """Made by `cluster`; servers are known by their number."""

    def __init__(
        self,
        folder: Path,
        ports: Sequence[tuple[int, int]],
        ways: Ways | None,
        *,
        interval: str,
        store: int,
    ) -> None:
        authority = Authority(folder / "keys", project="theirs")
        self._folder = folder
        self._ports = ports
        self._ways = ways
        if ways is not None:
            ways.targets = [route for _, route in ports]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.external = External(
            address=",".join(f"127.0.0.1:{port}" for port, _ in ports),
            operator_seed=(folder / "keys" / "operator-signing.nk").read_bytes().strip(),
            system_credentials=authority.system_credentials(),
        )
        ours = Embedded(folder / "ours", authority, project="theirs")
        conf = ours._text(Identity(port=1, server_name="X", store=store))
        self._conf = conf.replace("  type: full\n", f'  type: full\n  interval: "{interval}"\n')

    def address(self, number: int) -> str:
        return f"127.0.0.1:{self._ports[number][0]}"

    def folder(self, number: int) -> Path:
        """Return where it keeps accounts and streams."""
        return self._folder / str(number)

    def start(self, *numbers: int, alone: bool = False) -> None:
        """`alone`: as a server that knows of no others."""
        for number in numbers or range(len(self._ports)):
            conf = self._folder / f"{number}.conf"
            conf.write_text(self._of(number) + ("" if alone else self._cluster_of(number)))
            with (self._folder / f"{number}.log").open("ab") as log:
                self._processes[number] = subprocess.Popen(
                    [str(server_binary.find()), "-c", str(conf)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def kill(self, *numbers: int) -> None:
        for number in numbers or list(self._processes):
            process = self._processes.pop(number)
            process.kill()
            process.wait(DEADLINE)

    async def in_step(self) -> None:
        """Wait until all that was down has caught up: two at once are not to be missing."""
        system = self.external.system_credentials
        ends = time.monotonic() + DEADLINE
        while True:
            with suppress(UnreachableError):
                if all([await _healthy(self.address(each), system) for each in self._processes]):
                    return
            assert time.monotonic() < ends, "the servers did not come into step"
            await asyncio.sleep(0.05)

    def log(self, number: int) -> str:
        return (self._folder / f"{number}.log").read_text()

    def _of(self, number: int) -> str:
        place = self.folder(number)
        place.mkdir(exist_ok=True)
        client, _ = self._ports[number]
        conf = re.sub(r'"[^"]*/ours/', lambda _: json.dumps(f"{place}/")[:-1], self._conf)
        conf = re.sub(r"(?m)^listen: .*$", f"listen: 127.0.0.1:{client}", conf)
        conf = re.sub(r"(?m)^server_name: .*$", f"server_name: nats{number}", conf)
        return re.sub(r"max_memory_store: \d+", f"max_memory_store: {1 << 30}", conf)

    def _cluster_of(self, number: int) -> str:
        if len(self._ports) == 1:
            return ""
        _, route = self._ports[number]
        routes = ", ".join(f"nats://127.0.0.1:{each}" for each in self._others(number))
        # Servers tell each other where they are: who shall go by a way is told of no other.
        told = "" if self._ways is None else ", advertise: 127.0.0.1:1"
        return f"cluster: {{ name: theirs, listen: 127.0.0.1:{route}, routes: [{routes}]{told} }}\n"

    def _others(self, number: int) -> Sequence[int]:
        """Return the ports at which a server finds the others."""
        others = [each for each in range(len(self._ports)) if each != number]
        if self._ways is not None:
            return [self._ways.ports[number, each] for each in others]
        return [self._ports[each][1] for each in others]


async def _healthy(address: str, credentials: bytes) -> bool:
    """Ask one server whether it has caught up with all its streams and consumers."""
    async with dial(address, credentials, name="test") as life:
        answer = await life.ask(f"$SYS.REQ.SERVER.{life.server['server_id']}.HEALTHZ")
        return (answer.get("data") or {}).get("status") == "ok"


@contextmanager
def cluster(
    folder: Path,
    *,
    size: int = 3,
    ways: Ways | None = None,
    alone: bool = False,
    interval: str = "1m",
    store: int = 1 << 30,
) -> Iterator[Cluster]:
    """Start servers that find each other; whoever uses them waits for what he needs.

    `alone`: the first of them, as if there were no others. `interval`: in which each compares its
    accounts with those of another; a minute is its default. `store`: bytes that streams may reserve.
    """
    folder.mkdir()
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(2 * size)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in found]
    pairs = list(zip(ports[:size], ports[size:], strict=True))
    made = Cluster(folder, pairs, ways, interval=interval, store=store)
    try:
        if alone:
            made.start(0, alone=True)
        else:
            made.start()
        yield made
    finally:
        made.kill()
