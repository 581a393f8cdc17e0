"""From an artifact to folders for sys.path: the SDK, its own wheels, the SDK's distributions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ntp.package.cache import Cache
from ntp.package.fault import PackageError
from ntp.package.given import Given
from ntp.package.interpreter import compile_folder, interpreter, platform_tag
from ntp.package.lock import Lock, Pin
from ntp.package.sdk_copies import Base, base, digest, versions
from ntp.package.wheels import REASON, Pip

Progress = Callable[[str, str], None]
"""Called from a worker thread with (plugin, what happens)."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Read-only folders that a plugin is run with; nobody else's modules are seen.

    To be run as `python -S -s -P -m …` with PYTHONPATH = `site`. -S keeps out the system's packages
    (Debian has a module `ntp` of its own), every .pth file and sitecustomize; -s the user's packages;
    -P the current folder. Not -I: it would ignore PYTHONPATH. What is in `site` is compiled, and its
    .pyc files are never compared with their source.
    """

    python: Path
    """The real interpreter, no virtual environment's link."""
    site: tuple[Path, ...]
    """Folders for sys.path, in order: the SDK, the plugin's own wheels, what the SDK needs."""
    digest: str


class Environments:
    """Methods block: call them in a thread. Several processes may share one cache."""

    def __init__(self, cache: Cache, pip: Pip, progress: Progress) -> None:
        self._cache = cache
        self._pip = pip
        self._progress = progress
        self._base: Base | None = None
        self._given: Given | None = None

    def base(self) -> Base:
        """The copies that this process began with, even if ntp is upgraded under it."""
        if self._base is None or not (self._base.sdk.is_dir() and self._base.runtime.is_dir()):
            self._base = base(self._cache)
        return self._base

    def bare(self) -> Environment:
        """For a plugin without requirements of its own."""
        return self._environment(())

    def ready(self, requirements: Sequence[str], lock: Lock | None) -> Environment | None:
        """Return the environment if nothing has to be fetched for it, else None."""
        pins = self._pins(requirements, lock)
        if pins is None or (self._own(pins) and self.there(requirements, lock) is None):
            return None
        return self._environment(pins)

    def there(self, requirements: Sequence[str], lock: Lock | None) -> Path | None:
        """Return the folder of the plugin's own wheels, if it has any and they are installed already."""
        own = self._own(self._pins(requirements, lock) or ())
        folder = self._site(own)
        return folder if own and folder.is_dir() else None

    def knows(self, requirements: Sequence[str], lock: Lock | None) -> bool:
        """Whether it is settled which wheels these requirements mean here."""
        return self._pins(requirements, lock) is not None

    def lock(
        self, plugin: str, requirements: Sequence[str], known: Lock | None, *, renew: bool = False
    ) -> Lock | None:
        """Return a lock with this platform's wheels: `known` if it will do, else ask the registry.

        None: the SDK's own distributions satisfy everything.

        Args:
            plugin: for progress.
            requirements: PEP 508.
            known: from beside the plugin; its other platforms are kept.
            renew: ask the registry even so.

        Raises:
            PackageError: RequirementsFailed.
        """
        return self.given.lock(
            self._pip,
            requirements,
            known,
            progress=lambda line: self._progress(plugin, line),
            renew=renew,
        )

    def install(self, plugin: str, requirements: Sequence[str], lock: Lock | None) -> Environment:
        """Return the environment; the wheels of `lock` are installed once, by their hashes.

        Raises:
            PackageError: RequirementsFailed, CacheFailed, EnvironmentFailed.
        """
        self.wheels(plugin, requirements, lock)
        return self._environment(self._settled(plugin, requirements, lock))

    def wheels(self, plugin: str, requirements: Sequence[str], lock: Lock | None) -> Path | None:
        """Return the folder of the plugin's own wheels, made where it is missing; None: it has none.

        Raises:
            PackageError: RequirementsFailed, CacheFailed, EnvironmentFailed.
        """
        own = self._own(self._settled(plugin, requirements, lock))
        if not own:
            return None

        def make(folder: Path) -> None:
            site = folder / "site"
            site.mkdir()
            self._pip.install(own, site, progress=lambda line: self._progress(plugin, line))
            compile_folder(site)

        return self._cache.folder("env", self._own_digest(own), make) / "site"

    def _settled(
        self, plugin: str, requirements: Sequence[str], lock: Lock | None
    ) -> tuple[Pin, ...]:
        pins = self._pins(requirements, lock)
        if pins is None:
            raise PackageError(
                f"the lock of {plugin} has no wheels for {platform_tag()}", reason=REASON
            )
        return pins

    def around(self, wheels: Path | None) -> Environment:
        """Return the environment of a plugin whose own wheels lie in a folder already; None: it has none.

        That folder is named after what is in it.
        """
        if wheels is None:
            return self.bare()
        return self._with((wheels,), wheels.name)

    @property
    def given(self) -> Given:
        """What every plugin has; it stays what it was when this process began."""
        if self._given is None:
            known = versions() if self._base is None else self._base.versions
            self._given = Given(known, platform_tag())
        return self._given

    def _pins(self, requirements: Sequence[str], lock: Lock | None) -> tuple[Pin, ...] | None:
        return self.given.pins(requirements, lock)

    def _own(self, pins: Sequence[Pin]) -> tuple[Pin, ...]:
        return self.given.own(pins)

    def _own_digest(self, own: Sequence[Pin]) -> str:
        return digest("wheels", platform_tag(), *map(str, own))

    def _environment(self, pins: Sequence[Pin]) -> Environment:
        own = self._own(pins)
        return self._with((self._site(own),), self._own_digest(own)) if own else self._with((), "")

    def _site(self, own: Sequence[Pin]) -> Path:
        return self._cache.root / "env" / self._own_digest(own) / "site"

    def _with(self, wheels: tuple[Path, ...], name: str) -> Environment:
        made = self.base()
        return Environment(
            python=interpreter(),
            # The SDK first: no wheel can take its place. Wheels before what the SDK brings, so that
            # a plugin that needs an older numpy has it.
            site=(made.sdk, *wheels, made.runtime),
            digest=digest(made.digest, name),
        )
