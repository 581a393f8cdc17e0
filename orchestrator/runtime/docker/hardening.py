"""From one policy to the body of a create call: the only way in which a container of ours is made.

Whatever an image says of itself (user, environment, volumes, health check, stop signal) is somebody
else's input: every such field is set here, or the image is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ntp.confine import seccomp
from ntp.confine.limits import PERIOD_US, quota_us
from ntp.confine.policy import Policy
from orchestrator.errors import ActionError
from orchestrator.runtime.docker.identity import PREFIX

MIB = 1024 * 1024
SHARES = 512
"""Below the default of 1,024: under load plugins give way to the machine, and still start."""
LOG = {"Type": "local", "Config": {"max-size": "1m", "max-file": "2", "mode": "non-blocking"}}
LOG_BYTES = MIB
"""One of the two files: what a life keeps at least, once it has said more."""


@dataclass(frozen=True, slots=True)
class Container:
    """What differs from one container to the next; all else is the policy's, or the same for all."""

    image: str
    """The id of the image: never a tag, which moves."""
    argv: Sequence[str]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    network: str
    """`container:ID`, `host` or `none`."""
    writable_tmp: bool = True
    datagrams: bool = False
    """May make UDP sockets: only in a network of its own, for the door hands out none."""


def body(
    policy: Policy, container: Container, image: Mapping[str, Any], *, v2: bool
) -> dict[str, Any]:
    """Return the body for `POST /containers/create`.

    Args:
        policy: limits, user, binds.
        container: program and labels.
        image: what the engine says of the image.
        v2: the engine's control groups are of version 2, which has no swappiness.

    Raises:
        ActionError: the image brings volumes, or labels of ours.
    """
    config = image.get("Config") or {}
    _refuse(container.image, config)
    theirs = {word.partition("=")[0] for word in config.get("Env") or ()}
    return {
        "Image": container.image,
        "User": f"{policy.uid}:{policy.gid}",
        "Entrypoint": list(container.argv),
        "Cmd": [],
        # A name without a value takes away what the image sets.
        "Env": [
            *sorted(theirs - set(container.environment)),
            *(f"{name}={value}" for name, value in container.environment.items()),
        ],
        "WorkingDir": policy.workdir,
        "Labels": dict(container.labels),
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},
        "Tty": False,
        "OpenStdin": False,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "HostConfig": {
            **limits(policy),
            "MemorySwappiness": None if v2 else 0,
            "CpuShares": SHARES,
            "OomScoreAdj": policy.oom_score_adj,
            "ShmSize": MIB,
            "Ulimits": _ulimits(policy),
            "NetworkMode": container.network,
            "IpcMode": "private",
            "PidMode": "",
            "UTSMode": "",
            "UsernsMode": "",
            "CgroupnsMode": "private",
            "Privileged": False,
            "ReadonlyRootfs": True,
            "CapAdd": [],
            "CapDrop": ["ALL"],
            "GroupAdd": [],
            "SecurityOpt": [
                "no-new-privileges:true",
                f"seccomp={seccomp.profile(inet=policy.inet, datagrams=container.datagrams)}",
            ],
            "Devices": [],
            "Init": True,
            "AutoRemove": False,
            "PublishAllPorts": False,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": LOG,
            "Tmpfs": {"/tmp": _tmpfs(policy)} if container.writable_tmp else {},  # noqa: S108
            "Mounts": [_mount(bind.source, bind.target, bind.writable) for bind in policy.binds],
        },
    }


def limits(policy: Policy) -> dict[str, int]:
    """The limits that can be changed in place: what `update` sends is what `create` sent."""
    return {
        "Memory": policy.memory,
        "MemorySwap": policy.memory,
        "CpuPeriod": PERIOD_US,
        "CpuQuota": quota_us(policy),
        "PidsLimit": policy.pids,
    }


def _refuse(reference: str, config: Mapping[str, Any]) -> None:
    if config.get("Volumes"):
        raise ActionError(
            f"image {reference} declares volumes {sorted(config['Volumes'])}, which no limit would "
            "hold: build it without VOLUME",
            reason="ImageRefused",
            permanent=True,
        )
    forged = sorted(name for name in config.get("Labels") or {} if name.startswith(PREFIX))
    if forged:
        raise ActionError(
            f"image {reference} carries labels of ours ({', '.join(forged)}): build it without them",
            reason="ImageRefused",
            permanent=True,
        )


def _tmpfs(policy: Policy) -> str:
    size = max(policy.tmp, 4096)
    return f"rw,noexec,nosuid,nodev,size={size},nr_inodes={policy.tmp_inodes},mode=1777"


def _ulimits(policy: Policy) -> list[dict[str, Any]]:
    wanted = {"core": 0, "memlock": 64 * 1024, "msgqueue": 0}
    if policy.nofile:
        wanted["nofile"] = policy.nofile
    if policy.fsize is not None:
        wanted["fsize"] = policy.fsize
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in wanted.items()]


def _mount(source: str, target: str, writable: bool) -> dict[str, Any]:  # noqa: FBT001
    return {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": not writable,
        "BindOptions": {"Propagation": "rprivate"},
    }
