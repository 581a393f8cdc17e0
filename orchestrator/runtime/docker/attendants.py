"""Containers of our own beside the plugins: who holds a network for others, and who serves the door.

They reach what no plugin may, so nothing of a plugin is in them: no image of somebody else, no wheel.
Blocking: called in the engine's threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ntp.confine.policy import Policy
from orchestrator.errors import ActionError
from orchestrator.launch import Environment, Launch
from orchestrator.runtime.docker import hardening
from orchestrator.runtime.docker.engine import AbsentError, Engine
from orchestrator.runtime.docker.hardening import MIB, Container
from orchestrator.runtime.docker.images import Images
from orchestrator.runtime.view import environment

IDLE = ("-c", "import signal; signal.sigwait({signal.SIGTERM})")
"""What a container does that is there for its network alone."""
QUIET = {
    "net.ipv4.ping_group_range": "1 0",
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}
"""Settings of a network that plugins join: neither ping nor IPv6."""


class Attendants:
    def __init__(self, engine: Engine, images: Images) -> None:
        self._engine = engine
        self._images = images

    def image(self, launch: Launch) -> str:
        """The id of the image that they have beside this plugin; as `Images.id_of`."""
        return self._images.id_of(replace(launch, environment=_serving(launch)))

    def begin(
        self,
        launch: Launch,
        policy: Policy,
        program: Sequence[str],
        *,
        labels: Mapping[str, str],
        network: str,
        settings: Mapping[str, Any],
    ) -> str:
        """Make one and start it; return its id.

        Args:
            launch: of the plugin that it is made for.
            policy: its name, limits and user.
            program: arguments of Python.
            labels: who it is.
            network: as `Container.network`.
            settings: of HostConfig, beside what the policy says.
        """
        given = _serving(launch)
        beside = replace(launch, environment=given)
        image = self._images.id_of(beside)
        container = Container(
            image=image,
            argv=[str(given.python), "-S", "-s", "-P", *program],
            environment=environment(beside, tmp="/tmp", files="/nowhere"),  # noqa: S108
            labels=labels,
            network=network,
        )
        config = self._images.config(image)
        body = hardening.body(policy, container, config, v2=self._engine.has_v2())
        body["HostConfig"] |= settings
        try:
            made = self._engine.create(policy.name, body)
        except AbsentError:
            self._images.forget(image)  # somebody removed it: the next try has it loaded
            raise
        self._engine.start(made)
        return made


def idle(name: str, uid: int) -> Policy:
    """The policy of a container that holds a network and does nothing."""
    return Policy(
        name=name,
        # It needs next to nothing. But runc, which becomes it, counts as well: a Go program with some ten
        # threads, that ends of less now and then ("cannot start a stopped process").
        memory=32 * MIB,
        cpu=0.5,
        pids=32,
        tmp=0,
        nofile=64,
        uid=uid,
        gid=uid,
        oom_score_adj=0,
    )


def _serving(launch: Launch) -> Environment:
    given = launch.environment
    if given is None:
        raise ActionError(f"{launch.name} is no plugin", reason="ImageMissing", permanent=True)
    return given.serving or given
