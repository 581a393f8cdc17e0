"""Adding a release to a marketplace: the image first, then the catalogue that names it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ntp.contract import semver
from ntp.contract.manifest import Manifest
from ntp.contract.names import object_name
from ntp.oci.fault import OciError
from ntp.oci.layout import Layout
from ntp.oci.market import catalogue as catalogues
from ntp.oci.market import trust
from ntp.oci.market.admission import Admitted
from ntp.oci.market.catalogue import ANY, Catalogue, Entry, Publisher, Release
from ntp.oci.market.configured import Fetched
from ntp.oci.market.place import CATALOGUE, Place, Progress
from ntp.oci.signing.key import PublicKey
from ntp.oci.signing.keyring import Held, Signer


@dataclass(frozen=True, slots=True)
class Order:
    """What is published where. `by`: who signs the catalogue. `now`: aware, UTC."""

    layout: Layout
    release: Admitted
    by: Signer
    now: datetime
    days: int = trust.DAYS


def publish(place: Place, fetched: Fetched, order: Order, progress: Progress) -> bool:
    """Push the image and have the catalogue name it; False where both were there already.

    Raises:
        OciError: the version is there with other bytes, is not above the newest, or is signed by a key
            that may not sign this plugin; or the catalogue was changed meanwhile.
    """
    found, manifest = order.release, order.release.manifest
    now = fetched.catalogue
    known = now.plugins.get(manifest.name)
    release = known.versions.get(manifest.version) if known else None
    if release is not None and release.digest == found.image.digest:
        return False
    _check_new(place, known, release, found)
    publishers = _with_signer(now.publishers, manifest.name, found.key)
    place.push(
        order.layout,
        found.image,
        found.attachments,
        name=manifest.name,
        version=manifest.version,
        progress=progress,
    )
    entry = _entry(known, manifest, Release(found.image.digest, found.image.size, order.now))
    changed = msgspec.structs.replace(
        now, publishers=publishers, plugins={**now.plugins, manifest.name: entry}
    )
    _write(place, fetched, changed, by=order.by, now=order.now, days=order.days)
    return True


def renew(
    place: Place,
    fetched: Fetched,
    held: tuple[Held, ...],
    *,
    by: Signer,
    now: datetime,
    days: int = trust.DAYS,
) -> tuple[str, ...]:
    """Sign the catalogue anew, with our keys that were revoked; return the fingerprints of those that are new."""
    revoked = {each.public.fingerprint: each for each in held if each.revoked is not None}
    publishers = dict(fetched.catalogue.publishers)
    told = []
    for fingerprint, publisher in publishers.items():
        mine = revoked.get(fingerprint)
        if mine is not None and publisher.revoked is None:
            told.append(fingerprint)
            publishers[fingerprint] = msgspec.structs.replace(
                publisher, revoked=mine.revoked, reason=mine.reason
            )
    changed = msgspec.structs.replace(fetched.catalogue, publishers=publishers)
    _write(place, fetched, changed, by=by, now=now, days=days)
    return tuple(told)


def _write(
    place: Place, fetched: Fetched, changed: Catalogue, *, by: Signer, now: datetime, days: int
) -> None:
    content = catalogues.write(changed)
    files = trust.renew(fetched.verified, content, catalogue=by, now=now, days=days)
    place.write_catalogue(files, before=fetched.listed.digest)


def _check_new(place: Place, known: Entry | None, release: Release | None, found: Admitted) -> None:
    name, version = found.manifest.name, found.manifest.version
    if object_name(name) == CATALOGUE:
        raise OciError(f"'{name}' is the name of the catalogue itself", fix="rename the plugin")
    there = release.digest if release is not None else place.resolve(name, version)
    if there is not None and there != found.image.digest:
        raise OciError(
            f"'{name}' {version} is published already, as {there}, and this is {found.image.digest}",
            fix="raise 'version' in plugin.yaml: a release is never changed",
            reason="VersionTaken",
        )
    if known is not None and semver.order(version) <= semver.order(known.newest):
        raise OciError(
            f"'{name}' {version} is not above {known.newest}, the newest release",
            fix="raise 'version' in plugin.yaml",
            reason="VersionTaken",
        )


def _with_signer(
    publishers: Mapping[str, Publisher], name: str, key: PublicKey
) -> dict[str, Publisher]:
    """Return the publishers with this key among those of the plugin; whose plugin it is stays so."""
    mine = publishers.get(key.fingerprint)
    if mine is not None and mine.revoked is not None:
        raise OciError(
            f"{key.fingerprint} was revoked", fix="sign with another key", reason="KeyRevoked"
        )
    if mine is not None and {name, ANY} & set(mine.plugins):
        return dict(publishers)
    others = [
        fingerprint
        for fingerprint, each in publishers.items()
        if name in each.plugins and each.revoked is None
    ]
    if others:
        raise OciError(
            f"'{name}' is signed by {', '.join(others)}, and this by {key.fingerprint}",
            fix="sign with that key; or revoke it, and run `ntp marketplace sync`",
            reason="KeyNotTrusted",
        )
    pem = key.pem.decode()
    plugins = [*(mine.plugins if mine else ()), name]
    return {**publishers, key.fingerprint: Publisher(pem, sorted(plugins))}


def _entry(known: Entry | None, manifest: Manifest, release: Release) -> Entry:
    return Entry(
        kind=str(manifest.kind),
        description=manifest.description,
        author=manifest.author,
        newest=manifest.version,
        versions={**(known.versions if known else {}), manifest.version: release},
    )
