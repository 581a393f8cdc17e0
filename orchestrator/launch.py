"""What a runtime starts: a launch, the environment that it runs in, and where there are any the image of both."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.decide.state import Hashes
from orchestrator.spec.model import Detour, HostPort, Resources


@dataclass(frozen=True, slots=True)
class Image:
    """An image that a container engine has or can be given; it is run by its id, never by a name."""

    reference: str
    """A name that the engine may know it by."""
    ids: frozenset[str]
    """What engines call it: the digest of its config, or that of its manifest."""
    archive: Callable[[], AbstractContextManager[Path]] | None = field(default=None, compare=False)
    """A block with a file to load it from; blocks, and may raise ActionError. None: there is none."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What one artifact is run with, on any runtime; `ntp.package.environment` says how it is run."""

    python: Path
    """The real interpreter, no virtual environment's link."""
    site: tuple[Path, ...]
    """Folders for sys.path, in order: the SDK, the plugin's own wheels, what the SDK needs."""
    digest: str
    image: "Image | None" = None
    """Where containers have images of their own: the one that holds all this, and the plugin's code
    too. `python` and `site` are paths in it then.
    """
    serving: "Environment | None" = None
    """With an image: what the runtime's own containers are run in. They reach what no plugin may, so
    nothing of the plugin is in it: no image of somebody else, and no wheel.
    """
    code: Path | None = None
    """Where the plugin's code came with all this: out of an image. None: it is the artifact's own."""
    unaltered: Callable[[], bool] | None = field(default=None, compare=False, repr=False)
    """Blocks; whether what came out of an image is still what it was, asked ahead of each start."""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that a runtime needs to start one instance, and labels enough to adopt it later."""

    project: str
    name: str
    kind: str
    """A plugin kind, or `broker` for a system instance."""
    generation: int
    attempt: int
    epoch: int
    hashes: Hashes
    spec: bytes
    """The normalised entry as JSON: what the hashes were made of."""
    argv: tuple[str, ...]
    """With an environment: what follows `python`; without: the whole command of a system instance."""
    environment: Environment | None
    code: Path | None
    files: Mapping[str, bytes]
    """Read-only files in the launch folder: launch.json, credentials, secrets. Never logged."""
    resources: Resources
    storage: int = 0
    egress: tuple[HostPort, ...] = ()
    """What the door hands out: the broker, and declared hosts."""
    private: tuple[HostPort, ...] = ()
    """Those of `egress` whose name may lead to a private address: the broker."""
    detours: tuple[Detour, ...] = ()
    """Those of `egress` that lead somewhere else."""
    own: tuple[HostPort, ...] = ()
    """Public hosts that it reaches over a network of its own, past the door; and no others."""
    inet: bool = False
    """May make AF_INET sockets (each connect goes through the door): only with declared egress."""
    scheduling: Mapping[str, Any] = field(default_factory=dict)
    """Where its pod runs: the entry's `kubernetes:` block."""
    timeout: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(seconds=5)
    sandbox: bool = True
    home: Path | None = None
    """The folder that a system instance reads and writes, where its view is made by us."""
