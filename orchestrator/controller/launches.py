"""From a generation to a Launch: environment, configuration with its secrets, credentials, labels."""

import json
from dataclasses import replace
from typing import Any

import msgspec

from ntp.contract.launch import CA_FILE, CREDENTIALS_FILE, LAUNCH_FILE, BusAddress, LaunchFile
from orchestrator.controller.desk import Generation
from orchestrator.controller.outside import Outside
from orchestrator.controller.replays import Replays
from orchestrator.decide.layers import hashes, on_bus
from orchestrator.errors import ActionError
from orchestrator.ports import Catalog, Environment, Launch, Secrets
from orchestrator.spec.model import HostPort
from orchestrator.spec.secret import fill
from orchestrator.spec.wiring import trading

ARGV = ("-S", "-s", "-P", "-m", "ntp.runner")
CODE, STORAGE = "/plugin", "/storage"


class Launches:
    """Makes launches; `catalog` and `secrets` are those of the last apply."""

    def __init__(self, outside: Outside, replays: Replays) -> None:
        self._outside = outside
        self._replays = replays
        self.catalog: Catalog = outside.catalog({})
        self.secrets: Secrets = outside.secrets
        self._environments: dict[str, Environment] = {}

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
        # A plugin that crashed must not wait for another one's installation.
        known = self._environments.get(artifact.digest)
        if known is None or not _is_there(known):
            known = await self.catalog.prepare(artifact)
            self._environments[artifact.digest] = known
        return known

    async def of(self, generation: Generation, *, attempt: int, epoch: int) -> Launch:
        """Return the launch of one life. The instance must have its rights: credentials are in it."""
        environment = await self.prepare(generation)
        spec = generation.spec
        address = self._outside.broker.address()
        broker = _host_port(address)
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
            code=generation.artifact.code if environment.image is None else None,
            files={
                LAUNCH_FILE: self._file(generation, address),
                CREDENTIALS_FILE: self._outside.broker.credentials(spec.name),
                **({CA_FILE: spec.authority.encode()} if spec.authority else {}),
            },
            resources=spec.resources,
            storage=spec.storage,
            egress=(broker,) if spec.network == "own" else (broker, *spec.egress),
            own=spec.egress if spec.network == "own" else (),
            private=(broker,),
            detours=spec.detours,
            inet=bool(spec.egress),
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

    def _file(self, generation: Generation, address: str) -> bytes:
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
                bus=BusAddress(servers=[f"nats://{address}"]),
                config=self._config(generation),
                inputs=list(generation.listens),
                history=spec.history,
                replay=self._replays.wanted.get(spec.name, 0),
                timeout_s=spec.timeout.total_seconds(),
                grace_s=spec.grace.total_seconds(),
                trading=trading(spec),
                storage=STORAGE if spec.storage else None,
                storage_bytes=spec.storage,
                egress=[str(host) for host in spec.egress],
                own_network=spec.network == "own",
            )
        )

    def _config(self, generation: Generation) -> dict[str, Any]:
        return fill(generation.spec.config, generation.spec.secrets, self.secrets.resolve)


def _is_there(environment: Environment) -> bool:
    """Whether its folders are; an image is looked for by who runs it."""
    return environment.image is not None or all(site.exists() for site in environment.site)


def _host_port(address: str) -> HostPort:
    host, _, port = address.rpartition(":")
    return HostPort(host.strip("[]"), int(port))
