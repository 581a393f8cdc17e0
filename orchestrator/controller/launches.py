"""From a generation to a Launch: environment, configuration with its secrets, credentials, labels."""

import json
from dataclasses import replace
from typing import Any

import msgspec

from ntp.contract.control import Halt
from ntp.contract.launch import CA_FILE, CREDENTIALS_FILE, LAUNCH_FILE, BusAddress, LaunchFile
from ntp.contract.names import Kind
from orchestrator.controller.desk import Generation
from orchestrator.controller.environments import Environments
from orchestrator.controller.halt_book import HaltBook
from orchestrator.controller.outside import Outside
from orchestrator.controller.replays import Replays
from orchestrator.decide.layers import hashes, on_bus
from orchestrator.errors import ActionError
from orchestrator.launch import Environment, Launch
from orchestrator.ports import Catalog, Secrets
from orchestrator.spec.model import HostPort
from orchestrator.spec.rights import RECEIVERS
from orchestrator.spec.secret import fill
from orchestrator.spec.wiring import trading

ARGV = ("-S", "-s", "-P", "-m", "ntp.runner")
CODE, STORAGE = "/plugin", "/storage"


class Launches:
    """Makes launches; `catalog` and `secrets` are those of the last apply."""

    def __init__(self, outside: Outside, replays: Replays, halts: HaltBook) -> None:
        self._outside = outside
        self._replays = replays
        self._halts = halts
        self.catalog: Catalog = outside.catalog({})
        self.secrets: Secrets = outside.secrets
        self._environments = Environments()

    async def prepare(self, generation: Generation) -> Environment:
        """Do all that can fail before the one that runs is stopped.

        Raises:
            ActionError: its file cannot be examined, a secret is missing, requirements cannot be
                installed.
        """
        artifact = generation.artifact
        if artifact.unusable is not None:
            why = artifact.unusable
            raise ActionError(str(why), reason=why.reason, permanent=True)
        self._config(generation)
        return await self._environments.of(artifact, self.catalog)

    async def of(
        self, generation: Generation, *, attempt: int, epoch: int, last_end: str = ""
    ) -> Launch:
        """Return the launch of one life. The instance must have its rights: credentials are in it.

        `last_end`: what the life before failed by, for the life to tell.
        """
        environment = await self.prepare(generation)
        spec = generation.spec
        address = self._outside.broker.address()
        brokers = tuple(map(_host_port, address.split(",")))
        wanted = on_bus(generation.layers, address)
        return Launch(
            project=self._outside.project,
            name=spec.name,
            kind=spec.kind.value,
            generation=generation.number,
            attempt=attempt,
            epoch=epoch,
            hashes=hashes(wanted),
            spec=json.dumps(wanted, sort_keys=True).encode(),
            argv=ARGV,
            environment=environment,
            code=environment.code
            or (generation.artifact.code if environment.image is None else None),
            files={
                LAUNCH_FILE: self._file(generation, address, last_end),
                CREDENTIALS_FILE: self._outside.broker.credentials(spec.name),
                **({CA_FILE: spec.authority.encode()} if spec.authority else {}),
            },
            resources=spec.resources,
            storage=spec.storage,
            egress=brokers if spec.network == "own" else (*brokers, *spec.egress),
            own=spec.egress if spec.network == "own" else (),
            private=brokers,
            detours=spec.detours,
            inet=bool(spec.egress),
            scheduling=spec.kubernetes,
            timeout=spec.timeout,
            grace=spec.grace,
            sandbox=spec.sandbox,
        )

    def of_broker(self, *, attempt: int, epoch: int) -> Launch:
        launch = self._outside.broker.launch()
        if launch is None:
            raise ActionError("the broker is not ours to start", reason="ExternalBroker")
        return replace(
            launch, project=self._outside.project, generation=1, attempt=attempt, epoch=epoch
        )

    def _file(self, generation: Generation, address: str, last_end: str) -> bytes:
        spec = generation.spec
        return msgspec.json.encode(
            LaunchFile(
                project=self._outside.project,
                instance=spec.name,
                kind=spec.kind,
                plugin=spec.plugin,
                entrypoint=spec.entrypoint,
                code=CODE,
                generation=generation.number,
                bus=BusAddress(servers=[f"nats://{each}" for each in address.split(",")]),
                config=self._config(generation),
                inputs=list(generation.listens),
                history=spec.history,
                replay=self._replays.wanted.get(spec.name, spec.history),
                timeout_s=spec.timeout.total_seconds(),
                grace_s=spec.grace.total_seconds(),
                trading=trading(spec),
                risk=dict(spec.risk) if spec.kind is Kind.EXECUTOR else {},
                halt=self._halt(generation),
                storage=STORAGE if spec.storage else None,
                storage_bytes=spec.storage,
                egress=[str(host) for host in spec.egress],
                own_network=spec.network == "own",
                dead_letters=spec.kind in RECEIVERS,
                last_end=last_end,
            )
        )

    def _halt(self, generation: Generation) -> Halt:
        heard = [each.instance for each in generation.listens if each.kind is Kind.STRATEGY]
        return self._halts.now.told(generation.spec.name, heard)

    def _config(self, generation: Generation) -> dict[str, Any]:
        return fill(generation.spec.config, generation.spec.secrets, self.secrets.resolve)


def _host_port(address: str) -> HostPort:
    host, _, port = address.rpartition(":")
    return HostPort(host.strip("[]"), int(port))
