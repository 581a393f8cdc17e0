"""What the egress proxy knows an instance by, and how a launch on a cluster tells its plugin of the proxy.

Pure: the same launch, key and moment make the same bytes, so a second pass writes nothing.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from nacl.signing import SigningKey

from ntp.contract import egress_token
from ntp.contract.egress_token import Claims
from ntp.contract.launch import EGRESS_TOKEN_FILE, LAUNCH_FILE, LaunchFile, ProxyAddress
from orchestrator.errors import ActionError
from orchestrator.launch import Launch
from orchestrator.spec.egress import written

SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Signer:
    """A project's key. `seed`: 32 random bytes (RFC 8032)."""

    seed: bytes

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise ValueError(f"the seed of an Ed25519 key was {len(self.seed)} bytes, not 32")

    def line(self, project: str) -> str:
        """Return the line of the proxy's file `keys`: a project and its public key."""
        public = base64.b64encode(self._key().verify_key.encode())
        return f"{project} {public.decode()}"

    def kept(self, project: str) -> dict[str, bytes]:
        """Return what the project's Secret holds: `seed` for controllers, `keys` for the proxy, no secret."""
        return {"seed": self.seed, "keys": f"{self.line(project)}\n".encode()}

    def token(self, launch: Launch, *, issued: int, bus: bool = False) -> bytes:
        """Return the token of a launch.

        Args:
            launch: whose.
            issued: see `Claims`.
            bus: the broker too is reached through the proxy.

        Raises:
            ActionError: it declares more hosts than the proxy can be told.
        """
        message = egress_token.unsigned(claims(launch, issued=issued, bus=bus))
        token = egress_token.signed(message, self._key().sign(message).signature)
        if len(token) > egress_token.LONGEST:
            words = (
                f"its {len(hosts(launch, bus=bus))} hosts make a token of {len(token)} characters, and the"
                f" egress proxy takes {egress_token.LONGEST}: name fewer in network.egress"
            )
            raise ActionError(words, reason="EgressTooLong", permanent=True)
        return token

    def _key(self) -> SigningKey:
        return SigningKey(self.seed)


def hosts(launch: Launch, *, bus: bool = False) -> list[str]:
    """Return where the proxy may lead a launch: its declared hosts, and the broker's where it is outside."""
    return [written(each) for each in launch.egress if bus or each not in launch.private]


def claims(launch: Launch, *, issued: int, bus: bool = False) -> Claims:
    """Return what the proxy may do for a launch."""
    return Claims(
        project=launch.project,
        instance=launch.name,
        generation=launch.generation,
        issued=issued,
        hosts=hosts(launch, bus=bus),
        detours=[f"{written(each.place)}={written(each.to)}" for each in launch.detours],
    )


def files(
    launch: Launch, proxy: str, signer: Signer, *, issued: int, bus: bool = False
) -> dict[str, bytes]:
    """Return the files of a launch for a pod, whose plugin has no door but a proxy at `proxy` (host:port).

    A plugin that goes nowhere is told so as well: it then says which host it wanted, instead of waiting
    for an answer that the network never gives.
    """
    found: Mapping[str, bytes] = launch.files
    told = msgspec.json.decode(found[LAUNCH_FILE], type=LaunchFile)
    told = msgspec.structs.replace(told, proxy=ProxyAddress(proxy, bus=bus))
    made = {**found, LAUNCH_FILE: msgspec.json.encode(told)}
    if hosts(launch, bus=bus):
        made[EGRESS_TOKEN_FILE] = signer.token(launch, issued=issued, bus=bus)
    return made
