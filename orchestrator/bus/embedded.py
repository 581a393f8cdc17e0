"""Our own nats-server: the program of the wheel, its configuration, and how it is started.

It is a system instance: a Launch like any plugin's, so the runtime starts, adopts and repairs it.
Its configuration is a file in the state folder that stays the same text from start to start; the
JetStream store and the accounts' claims lie beside it and outlive the process.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from orchestrator.bus import port, server_binary
from orchestrator.bus.authority import Authority
from orchestrator.bus.keys import private_folder, write_private
from orchestrator.decide.state import Hashes
from orchestrator.errors import ActionError
from orchestrator.launch import Launch
from orchestrator.spec.model import Resources

NAME = "broker"
HOST = "127.0.0.1"
MIB = 1024 * 1024
CLAIMS = 4 * MIB
"""Largest message of the controller: the claims of an account with thousands of edges. A plugin's account
allows PAYLOAD."""
RESOURCES = Resources(memory=512 * MIB, cpu=1.0, pids=64, tmp=16 * MIB)
_SMALLEST_STORE = 64 * MIB


@dataclass(frozen=True, slots=True)
class Identity:
    """Chosen once for a project: where the server listens, and the name by which it is known again."""

    port: int
    server_name: str
    store: int
    """Bytes that streams may take on disk: half of what was free, so a full store is no full disk."""


class Embedded:
    """The server of one project, in `folder` (state folder/broker)."""

    def __init__(
        self, folder: Path, authority: Authority, *, project: str, binary: Path | None = None
    ) -> None:
        self._binary = binary
        self._folder = folder
        self._authority = authority
        self._project = project
        self._identity: Identity | None = None
        self._launch: Launch | None = None
        self._failure = ActionError("the broker's configuration was not prepared", reason="Broker")

    @property
    def address(self) -> str:
        return f"{HOST}:{self._known().port}"

    @property
    def server_name(self) -> str:
        return self._known().server_name

    def launch(self) -> Launch:
        if self._launch is None:
            raise self._failure
        return self._launch

    @property
    def prepared(self) -> bool:
        return self._launch is not None

    async def prepare(self, *, move: bool = False) -> None:
        """Write the configuration and have the server check it; `move`: to another port.

        Raises:
            ActionError: no nats-server, one that is too old, or one that refuses the configuration;
                from then on `launch` and `address` raise it too.
        """
        try:
            binary = self._binary or server_binary.find()
            await server_binary.insist(binary)
            private_folder(self._folder)
            identity = (None if move else self._load()) or self._choose()
            text = self._text(identity)
            file = self._folder / "server.conf"
            if not file.exists() or file.read_text() != text:
                await self._checked(binary, text, file)
        except ActionError as error:
            self._failure = error
            raise
        except OSError as error:
            self._failure = ActionError(
                f"the broker's folder {self._folder} cannot be used: {error.strerror}",
                reason="BrokerFolder",
            )
            raise self._failure from error
        self._identity = identity
        served = f"{self._authority.operator} {HOST}:{identity.port}"
        self._launch = self._make_launch(binary, file, text, served)

    def sweep(self, accounts: Iterable[str]) -> None:
        """Remove what the server keeps of deleted accounts: it only renames their claims."""
        for public in accounts:
            (self._folder / "accounts" / f"{public}.jwt.deleted").unlink(missing_ok=True)

    def alive(self) -> bool:
        """Say whether the process that serves this configuration lives, by its pid file."""
        try:
            pid = int((self._folder / "server.pid").read_text())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return False
        return os.fsencode(self._folder / "server.conf") in arguments

    def _known(self) -> Identity:
        if self._identity is None:
            raise self._failure
        return self._identity

    def _load(self) -> Identity | None:
        try:
            return Identity(**json.loads((self._folder / "identity.json").read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None  # a new choice costs a restart of the broker, its store stays

    def _choose(self) -> Identity:
        free = shutil.disk_usage(self._folder).free
        identity = Identity(
            port=port.choose(HOST),
            server_name=f"ntp-{self._project}-{secrets.token_hex(4)}",
            store=max(free // 2 // MIB * MIB, _SMALLEST_STORE),
        )
        content = {
            "port": identity.port,
            "server_name": identity.server_name,
            "store": identity.store,
        }
        write_private(self._folder / "identity.json", json.dumps(content).encode())
        return identity

    def _text(self, identity: Identity) -> str:
        system, system_token = self._authority.system()
        quoted = json.dumps  # the configuration language reads JSON's strings
        return f"""\
# Written by ntpctl; changes are lost. No monitoring port, loopback only.
server_name: {quoted(identity.server_name)}
listen: {quoted(f"{HOST}:{identity.port}")}
pid_file: {quoted(str(self._folder / "server.pid"))}
operator: {self._authority.operator_token()}
system_account: {system}
resolver: {{
  type: full
  dir: {quoted(str(self._folder / "accounts"))}
  allow_delete: true
}}
resolver_preload: {{
  {system}: {system_token}
}}
jetstream: {{
  store_dir: {quoted(str(self._folder / "store"))}
  # An acknowledged signal survives a power cut.
  sync_interval: always
  max_memory_store: {32 * MIB}
  max_file_store: {identity.store}
}}
max_payload: {CLAIMS}
# What a slow plugin may have waiting before it is cut off.
max_pending: {16 * MIB}
write_deadline: "5s"
ping_interval: "5s"
ping_max: 2
authorization: {{ timeout: 5 }}
max_connections: 65536
logtime: true
"""

    async def _checked(self, binary: Path, text: str, file: Path) -> None:
        candidate = self._folder / "server.conf.new"
        write_private(candidate, text.encode())
        code, said = await server_binary.ask(binary, "-t", "-c", candidate, reason="BrokerConfig")
        if code:
            raise ActionError(
                f"nats-server refused its configuration: {said.strip()[-500:]}",
                reason="BrokerConfig",
            )
        candidate.replace(file)

    def _make_launch(self, binary: Path, file: Path, text: str, served: str) -> Launch:
        """`served`: whose keys it knows, and where: who has others, or looks elsewhere, is not served."""
        argv = (str(binary), "-c", str(file))
        digest = hashlib.sha256(json.dumps([argv, text]).encode()).hexdigest()
        return Launch(
            project=self._project,
            name=NAME,
            kind=NAME,
            generation=1,
            attempt=1,
            epoch=0,
            hashes=Hashes(
                identity=digest,
                resources=hashlib.sha256(repr(RESOURCES).encode()).hexdigest(),
                wiring=hashlib.sha256(served.encode()).hexdigest(),
                config="",
                policy="",
            ),
            spec=json.dumps({"configuration": digest}).encode(),
            argv=argv,
            environment=None,
            code=None,
            files={},
            resources=RESOURCES,
            grace=timedelta(seconds=10),
            sandbox=False,
            home=self._folder,
        )
