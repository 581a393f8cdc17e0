"""What plugins were resolved to, by digest: so that what was applied can be had again."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ntp.contract.manifest import Manifest, expand
from ntp.package.cache import Cache
from ntp.package.interpreter import platform_tag
from ntp.package.lock import Lock, LockError
from ntp.package.lock_file import read_lock, write_lock
from ntp.package.sdk_copies import digest
from ntp.package.tree import TreeError
from orchestrator.catalog.fault import Fault, FaultError
from orchestrator.catalog.find import Found
from orchestrator.spec.model import Artifact, Unusable, Wanted

_ARTIFACTS, _LOCKS, _SAME = "artifacts", "pins", "same"


class Artifacts:
    """Methods block: call them in a thread."""

    def __init__(self, cache: Cache, bundled: Path) -> None:
        self._cache = cache
        self._bundled = bundled

    def record(
        self, found: Found, manifest: Manifest, code: Path, lock: Lock | None, *, complete: bool
    ) -> Artifact:
        """Name the artifact and remember it, with the lock that was found beside it.

        Without `complete` nobody knows yet which wheels it will have, and copies of it in other
        places may become something else: then its place is part of its name.
        """
        requirements = tuple(manifest.requirements)
        fits = lock is not None and lock.fits(requirements)
        wheels = lock.digest(platform_tag()) if lock is not None and fits else None
        place = "" if complete else str(found.lock.absolute())
        name = _name(found.tree.digest, requirements, wheels or place)
        if lock is not None and wheels is not None:
            name = self._first_name(name, wheels)
            if self.lock(name) is None:
                self._cache.write(_LOCKS, name, lock.render())
        artifact = of_manifest(manifest, digest=name, code=code, origin=found.origin)
        fields = asdict(artifact)
        del fields["unusable"], fields["image"]
        # Nothing is written into an installed package.
        ours = found.path.is_relative_to(self._bundled)
        record = {
            "artifact": {**fields, "code": found.tree.digest},
            "lock": None if ours else str(found.lock.absolute()),
        }
        if self._cache.read(_ARTIFACTS, name) != json.loads(json.dumps(record)):
            self._cache.write(_ARTIFACTS, name, record)
        return artifact

    def unusable(self, found: Found, code: Path, wanted: Wanted, why: FaultError) -> Artifact:
        """Return what stands for a plugin of which nothing is known; it is not remembered.

        By the digest it is another one as soon as its files are.
        """
        return Artifact(
            plugin=wanted.plugin,
            kind=wanted.kind,
            version="",
            digest=digest("unusable", found.tree.digest),
            entrypoint="",
            config_schema={},
            egress=(),
            secrets=(),
            requirements=(),
            code=code,
            origin=found.origin,
            unusable=Unusable(why.reason, tuple(sorted(why.at(wanted)))),
        )

    def pinned(self, plugin: str, name: str) -> Artifact:
        """Return exactly that one again; FaultError when it is gone or was altered."""
        record = self._cache.read(_ARTIFACTS, name) if name.isalnum() else None
        try:
            fields: dict[str, Any] = dict((record or {})["artifact"])
            code = self._cache.code(str(fields["code"]))
            for several in ("egress", "secrets", "requirements"):
                fields[several] = tuple(fields[several])
            if code is not None:
                return Artifact(**{**fields, "code": code})
        except (TypeError, KeyError):
            pass
        raise FaultError(
            Fault(
                f"the applied state {name[:12]} of '{plugin}' is not in the cache any more",
                "apply again: that takes the plugin as its files are now",
            )
        )

    def lock(self, name: str) -> Lock | None:
        """The lock that this artifact is prepared with."""
        text = self._cache.read(_LOCKS, name)
        try:
            return Lock.parse(text) if isinstance(text, str) else None
        except LockError:
            return None

    def lock_path(self, name: str) -> Path | None:
        """Where the plugin's author keeps the lock; None where we write nothing."""
        record = self._cache.read(_ARTIFACTS, name)
        path = record.get("lock") if isinstance(record, dict) else None
        return Path(path) if isinstance(path, str) else None

    def keep_lock(self, artifact: Artifact, lock: Lock) -> None:
        """Remember the lock for this artifact and lay it beside the plugin.

        There it goes with the plugin to other machines; here the digest of what is applied stays.
        """
        self._cache.write(_LOCKS, artifact.digest, lock.render())
        beside = self.lock_path(artifact.digest)
        record = self._cache.read(_ARTIFACTS, artifact.digest)
        if beside is None or not isinstance(record, dict) or not write_lock(lock, beside):
            return
        wheels = lock.digest(platform_tag())
        later = _name(record["artifact"]["code"], artifact.requirements, str(wheels))
        self._cache.write(_SAME, later, artifact.digest)

    def _first_name(self, name: str, wheels: str) -> str:
        """What the same files were called before `keep_lock` itself laid this lock beside them."""
        first = self._cache.read(_SAME, name)
        kept = self.lock(first) if isinstance(first, str) else None
        return str(first) if kept is not None and kept.digest(platform_tag()) == wheels else name


def of_manifest(
    manifest: Manifest, *, digest: str, code: Path, origin: str, image: str = ""
) -> Artifact:
    """Return the artifact that a manifest describes; the rest as `Artifact` names it."""
    return Artifact(
        plugin=manifest.name,
        kind=manifest.kind.value,
        version=manifest.version,
        digest=digest,
        entrypoint=manifest.entrypoint,
        config_schema=expand(manifest.config_schema),
        egress=tuple(manifest.egress),
        secrets=tuple(manifest.secrets),
        requirements=tuple(manifest.requirements),
        code=code,
        origin=origin,
        trading=manifest.trading.model_dump(mode="json", exclude_none=True),
        finite=manifest.finite,
        image=image,
    )


def lock_beside(found: Found) -> Lock | None:
    """Read the lock beside a plugin; FaultError if it is none."""
    if not os.path.lexists(found.lock):
        return None
    try:
        return read_lock(found.lock)
    except (TreeError, LockError) as error:
        raise FaultError(
            Fault(
                f"{found.shown}: the lock '{found.lock.name}' cannot be used: {error}",
                f"delete {found.lock.name}: the next apply makes a new one",
            )
        ) from error


def lock_at(path: Path) -> Lock | None:
    """Read a lock for what it may be good for: what is none is written over."""
    try:
        return read_lock(path)
    except (TreeError, LockError):
        return None


def _name(code: str, requirements: tuple[str, ...], wheels: str) -> str:
    return digest("artifact", code, *sorted(requirements), wheels)
