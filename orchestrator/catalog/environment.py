"""From an artifact to folders for sys.path: the SDK, its own wheels, the SDK's distributions."""

from collections.abc import Callable, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from orchestrator.catalog.cache import Cache
from orchestrator.catalog.layers import (
    SDK,
    Base,
    base,
    compile_folder,
    digest,
    interpreter,
    platform_tag,
)
from orchestrator.catalog.lock import Lock, Pin
from orchestrator.catalog.wheels import REASON, Pip, unmet
from orchestrator.errors import ActionError
from orchestrator.ports import Environment

_SOFT = frozenset({"numpy", "websockets"})
"""What a plugin may have in another version than the SDK has: the wire's own libraries are not."""

Progress = Callable[[str, str], None]
"""Called from a worker thread with (plugin, what happens)."""


class Environments:
    """Methods block: call them in a thread. Several processes may share one cache."""

    def __init__(self, cache: Cache, pip: Pip, progress: Progress) -> None:
        self._cache = cache
        self._pip = pip
        self._progress = progress
        self._base: Base | None = None

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
        if pins is None:
            return None
        own = self._own(pins)
        if own and not (self._cache.root / "env" / self._own_digest(own)).is_dir():
            return None
        return self._environment(pins)

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
            ActionError: RequirementsFailed.
        """
        if not renew and self._pins(requirements, known) is not None:
            return known
        versions = self.base().versions
        self._refuse_other_sdk(requirements)
        wanted = [text for text in requirements if canonicalize_name(Requirement(text).name) != SDK]
        soft = {name: versions[name] for name in _SOFT & versions.keys()}
        if known is not None and not renew:
            # Another machine's lock: take its versions, so that both run the same.
            soft |= {pin.name: pin.version for pins in known.pins.values() for pin in pins}
        keep = {
            name: version
            for name, version in versions.items()
            if name not in _SOFT and name != canonicalize_name(SDK)
        }
        pins = self._pip.resolve(
            wanted, keep=keep, prefer=soft, progress=lambda line: self._progress(plugin, line)
        )
        before = known if known is not None and known.fits(requirements) and not renew else None
        fresh = before or Lock(tuple(sorted(requirements)))
        return fresh.with_pins(platform_tag(), pins)

    def install(self, plugin: str, requirements: Sequence[str], lock: Lock | None) -> Environment:
        """Return the environment; the wheels of `lock` are installed once, by their hashes.

        Raises:
            ActionError: RequirementsFailed, CacheFailed, EnvironmentFailed.
        """
        pins = self._pins(requirements, lock)
        if pins is None:
            raise ActionError(
                f"the lock of {plugin} has no wheels for {platform_tag()}", reason=REASON
            )
        own = self._own(pins)
        if own:

            def make(folder: Path) -> None:
                site = folder / "site"
                site.mkdir()
                self._pip.install(own, site, progress=lambda line: self._progress(plugin, line))
                compile_folder(site)

            self._cache.folder("env", self._own_digest(own), make)
        return self._environment(pins)

    def _pins(self, requirements: Sequence[str], lock: Lock | None) -> tuple[Pin, ...] | None:
        """The wheels to have, if that is known without asking anybody."""
        tag = platform_tag()
        if lock is not None and lock.fits(requirements) and tag in lock.pins:
            return lock.pins[tag]
        return () if not unmet(requirements, self.base().versions) else None

    def _own(self, pins: Sequence[Pin]) -> tuple[Pin, ...]:
        """What the SDK's own distributions do not have already, in that very version."""
        versions = self.base().versions
        return tuple(pin for pin in pins if versions.get(pin.name) != pin.version)

    def _own_digest(self, own: Sequence[Pin]) -> str:
        return digest("wheels", platform_tag(), *map(str, own))

    def _environment(self, pins: Sequence[Pin]) -> Environment:
        made = self.base()
        own = self._own(pins)
        between: tuple[Path, ...] = ()
        if own:
            between = (self._cache.root / "env" / self._own_digest(own) / "site",)
        return Environment(
            python=interpreter(),
            # The SDK first: no wheel can take its place. Wheels before what the SDK brings, so that
            # a plugin that needs an older numpy has it.
            site=(made.sdk, *between, made.runtime),
            digest=digest(made.digest, self._own_digest(own) if own else ""),
        )

    def _refuse_other_sdk(self, requirements: Sequence[str]) -> None:
        for text in unmet(requirements, self.base().versions):
            if canonicalize_name(Requirement(text).name) == SDK:
                raise ActionError(
                    f"the plugin needs {text}, and {self.base().versions[SDK]} runs it; update "
                    "ntp-orchestrator, or take a version of the plugin that fits",
                    reason=REASON,
                    permanent=True,
                )
