"""Which wheels a plugin needs beyond what is given: the SDK's own distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ntp.package.fault import PackageError
from ntp.package.lock import Lock, Pin
from ntp.package.wheels import REASON, Pip, Progress, unmet

SDK = "ntp-sdk"
_SOFT = frozenset({"numpy", "websockets"})
"""What a plugin may have in another version than the SDK has: the wire's own libraries are not."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is installed for every plugin. `versions`: canonical name -> version, the SDK's too.

    `tag`: what compiled files have to fit there.
    """

    versions: Mapping[str, str]
    tag: str

    def pins(self, requirements: Sequence[str], lock: Lock | None) -> tuple[Pin, ...] | None:
        """Return the wheels to have, if that is known without asking anybody."""
        if lock is not None and lock.fits(requirements) and self.tag in lock.pins:
            return lock.pins[self.tag]
        return () if not unmet(requirements, self.versions) else None

    def own(self, pins: Sequence[Pin]) -> tuple[Pin, ...]:
        """Return those that are not given already, in that very version."""
        return tuple(pin for pin in pins if self.versions.get(pin.name) != pin.version)

    def lock(
        self,
        pip: Pip,
        requirements: Sequence[str],
        known: Lock | None,
        *,
        progress: Progress,
        renew: bool = False,
    ) -> Lock | None:
        """Return a lock with the wheels for this platform: `known` if it will do, else ask the registry.

        None: what is given satisfies everything.

        Args:
            pip: how to reach the registry.
            requirements: PEP 508.
            known: from beside the plugin; its other platforms are kept.
            progress: called with one line at a time.
            renew: ask the registry even so.

        Raises:
            PackageError: RequirementsFailed.
        """
        if not renew and self.pins(requirements, known) is not None:
            return known
        self._refuse_other_sdk(requirements)
        wanted = [text for text in requirements if canonicalize_name(Requirement(text).name) != SDK]
        soft = {name: self.versions[name] for name in _SOFT & self.versions.keys()}
        if known is not None and not renew:
            # Another machine's lock: take its versions, so that both run the same.
            soft |= {pin.name: pin.version for pins in known.pins.values() for pin in pins}
        keep = {
            name: version
            for name, version in self.versions.items()
            if name not in _SOFT and name != SDK
        }
        pins = pip.resolve(wanted, keep=keep, prefer=soft, progress=progress)
        before = known if known is not None and known.fits(requirements) and not renew else None
        fresh = before or Lock(tuple(sorted(requirements)))
        return fresh.with_pins(self.tag, pins)

    def _refuse_other_sdk(self, requirements: Sequence[str]) -> None:
        for text in unmet(requirements, self.versions):
            if canonicalize_name(Requirement(text).name) == SDK:
                raise PackageError(
                    f"the plugin needs {text}, and {self.versions[SDK]} runs it; update "
                    "ntp-orchestrator, or take a version of the plugin that fits",
                    reason=REASON,
                    permanent=True,
                )
