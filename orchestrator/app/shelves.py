"""Looking into marketplaces: what there is, what it asks for, and whether what is installed still holds."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntp.contract import semver
from ntp.oci import base_image, provenance, sbom
from ntp.oci import image as images
from ntp.oci.fault import OciError
from ntp.oci.market import admission
from ntp.oci.market.admission import Admitted
from ntp.oci.market.catalogue import Catalogue, Release
from ntp.oci.market.configured import Marketplace, Marketplaces
from ntp.oci.market.place import Place
from ntp.oci.signing import key as keys
from ntp.oci.signing.keyring import configuration
from ntp.oci.signing.signature import Trusted
from orchestrator.app import entries, origin
from orchestrator.app.entries import Entry
from orchestrator.catalog.image_store import ImageStore
from orchestrator.catalog.named_images import NamedImages
from orchestrator.catalog.purchases import Purchases
from orchestrator.catalog.told import told
from orchestrator.errors import NtpError
from orchestrator.runtime.docker.identity import PREFIX
from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Shelf:
    """A marketplace whose catalogue was verified just now."""

    market: Marketplace
    place: Place
    catalogue: Catalogue


def marketplaces(settings: Settings) -> Marketplaces:
    return Marketplaces(configuration(settings.environment))


def purchases(settings: Settings) -> Purchases:
    # Not by way of the house: all its adapters take longer to import than an installation to do.
    store = ImageStore(settings.cache)
    return Purchases(store, NamedImages(store, settings.environment, reserved=PREFIX))


@contextmanager
def opened(settings: Settings, name: str | None) -> Iterator[Shelf]:
    """Yield a marketplace, the default without a name; OciError where its catalogue does not hold."""
    every = marketplaces(settings)
    market = every.get(name)
    place = every.open(market, settings.environment)
    try:
        yield Shelf(market, place, every.fetch(market, place).catalogue)
    finally:
        place.close()


def search(settings: Settings, words: Sequence[str], market: str | None) -> list[dict[str, Any]]:
    """Return the plugins in which every word occurs, of one marketplace or of all.

    Raises:
        ActionError: a catalogue is refused.
        UnreachableError: a registry does not answer.
    """
    found = []
    with told():
        every = [each.name for each in marketplaces(settings).listed()]
        names: list[str | None] = [market] if market else [*every] or [None]
        for name in names:
            with opened(settings, name) as shelf:
                for plugin, entry in sorted(shelf.catalogue.plugins.items()):
                    text = f"{plugin} {entry.kind} {entry.description} {entry.author}".lower()
                    if all(word.lower() in text for word in words):
                        found.append(
                            {
                                "plugin": plugin,
                                "version": entry.newest,
                                "kind": entry.kind,
                                "description": entry.description,
                                "author": entry.author,
                                "marketplace": shelf.market.name,
                            }
                        )
    return found


def info(settings: Settings, name: str, version: str | None, market: str | None) -> dict[str, Any]:
    """Return what a release says of itself, after it was verified; no layer is fetched.

    Raises:
        ActionError: it is refused, by the first rule that is broken.
        UnreachableError: the registry does not answer.
    """
    with told(), opened(settings, market) as shelf:
        where = f"'{shelf.market.name}'"
        entry, wanted, release = admission.find(shelf.catalogue, name, version, where)
        with purchases(settings).from_place(
            shelf.place, shelf.catalogue, name, wanted
        ) as candidate:
            return {
                **described(candidate.found, release),
                "marketplace": shelf.market.name,
                "location": shelf.market.location,
                "newest": entry.newest,
                "versions": sorted(entry.versions, key=semver.order, reverse=True),
            }


def described(found: Admitted, release: Release | None) -> dict[str, Any]:
    """Return what a person decides by: permissions, limits, who signed, report, SBOM."""
    manifest = found.manifest
    bom = json.loads(found.documents[sbom.MEDIA_TYPE])
    built = json.loads(found.documents[provenance.MEDIA_TYPE])["predicate"]["buildDefinition"]
    return {
        "plugin": manifest.name,
        "version": manifest.version,
        "kind": str(manifest.kind),
        "description": manifest.description,
        "author": manifest.author,
        "digest": found.image.digest,
        "size": found.image.size,
        "published": release.published.isoformat() if release else None,
        "licence": manifest.licence,
        "signed_by": found.key.fingerprint,
        "permissions": {"egress": list(manifest.egress), "secrets": list(manifest.secrets)},
        "limits": manifest.trading.model_dump(mode="json", exclude_defaults=True),
        "requirements": list(manifest.requirements),
        "docker": base_image.has_system(found.image),
        "config_schema": manifest.config_schema,
        "report": json.loads(found.report) if found.report else None,
        "sbom": [
            {"name": each.get("name"), "version": each.get("version"), "purl": each.get("purl")}
            for each in bom.get("components", ())
        ],
        "revision": built.get("externalParameters", {}).get("revision"),
    }


def outdated(settings: Settings, market: str | None) -> list[dict[str, Any]]:
    """Return each installed plugin with the version it is and the newest that there is.

    Raises:
        ActionError: a catalogue is refused.
        UnreachableError: a registry does not answer.
    """
    rows = []
    with told(), _all_opened(settings, market) as shelves:
        for entry in entries.listed(settings):
            if not entry.image:
                continue
            shelf = origin.of(settings, shelves, entry, chosen=market is not None)
            newest = shelf.catalogue.plugins[entry.plugin].newest if shelf else None
            current = version_of(entry, shelf.catalogue if shelf else None)
            rows.append(
                {
                    "name": entry.name,
                    "plugin": entry.plugin,
                    "version": current,
                    "newest": newest,
                    "marketplace": shelf.market.name if shelf else None,
                    "outdated": newest is not None and _rises(newest, current),
                }
            )
    return rows


def verify(
    settings: Settings, names: Sequence[str], market: str | None, key_files: Sequence[Path]
) -> list[dict[str, Any]]:
    """Verify what is installed once more: catalogue, tag, signature, revocation, and every byte that is here.

    Args:
        settings: of the project.
        names: of entries; none: all that are images.
        market: which marketplace; None: whichever has the image.
        key_files: public keys that may have signed what came from a file.
    """
    chosen = [entries.named(settings, name) for name in names] or [
        each for each in entries.listed(settings) if each.image
    ]
    return [row(entry, found) for entry, found in checked(settings, chosen, market, key_files)]


def checked(
    settings: Settings, chosen: Sequence[Entry], market: str | None, key_files: Sequence[Path]
) -> list[tuple[Entry, Admitted | NtpError]]:
    """Verify entries; return each with what holds, or with what does not; as `verify`."""
    with told():
        trusted = trusting(key_files)
    every: list[tuple[Entry, Admitted | NtpError]] = []
    with ExitStack() as stack:
        shelves: Sequence[Shelf] = ()
        fault: NtpError | None = None
        try:
            with told():
                shelves = stack.enter_context(_all_opened(settings, market))
        except NtpError as error:
            fault = error
        for entry in chosen:
            try:
                with told():
                    every.append((entry, _verified(settings, entry, shelves, trusted)))
            except NtpError as error:
                every.append((entry, fault or error))
    return every


def row(entry: Entry, found: Admitted | NtpError) -> dict[str, Any]:
    """Return what verifying an entry found, as it is told."""
    about = {"name": entry.name, "image": entry.image}
    if isinstance(found, NtpError):
        return {**about, "signed_by": None, "good": False, "found": str(found)}
    return {**about, "signed_by": found.key.fingerprint, "good": True, "found": ""}


def trusting(key_files: Sequence[Path]) -> Trusted:
    """Return which keys a user trusts by their files; OciError where one is none."""
    return {each.hint: each for each in map(keys.read_file, key_files)}.get


def version_of(entry: Entry, catalogue: Catalogue | None) -> str:
    """Return the version that an entry runs: by its digest, else by its tag; empty: nobody knows."""
    known = catalogue.plugins.get(entry.plugin) if catalogue else None
    for version, release in known.versions.items() if known else ():
        if release.digest == entry.digest:
            return version
    return entry.version


@contextmanager
def having(settings: Settings, entry: Entry, market: str | None) -> Iterator[Shelf]:
    """Yield the marketplace that is named, or that an entry's image is from, or its signer signs for.

    Raises:
        OciError: none has it.
    """
    with _all_opened(settings, market) as shelves:
        found = origin.of(settings, shelves, entry, chosen=market is not None)
        if found is None:
            others = [
                each.market.name for each in shelves if entry.plugin in each.catalogue.plugins
            ]
            if others:
                raise OciError(
                    f"'{entry.plugin}' of {', '.join(others)} is of other signers than '{entry.name}' is",
                    fix=f"if that is meant: ntpctl plugin update {entry.name} --marketplace {others[0]}",
                    reason="KeyNotTrusted",
                )
            raise OciError(
                f"no marketplace of yours has the plugin '{entry.plugin}'",
                fix="name its file: ntpctl plugin install FILE --key KEY; or ntp marketplace add",
                reason="NoSuchPlugin",
            )
        yield found


@contextmanager
def _all_opened(settings: Settings, market: str | None) -> Iterator[Sequence[Shelf]]:
    names = [market] if market else [each.name for each in marketplaces(settings).listed()]
    with ExitStack() as stack:
        yield [stack.enter_context(opened(settings, name)) for name in names]


def _rises(newest: str, current: str) -> bool:
    # Of an image whose version nobody knows, the newest release may be a newer one.
    return not current or semver.order(newest) > semver.order(current)


def _verified(
    settings: Settings, entry: Entry, shelves: Sequence[Shelf], trusted: Trusted
) -> Admitted:
    bought = purchases(settings)
    kept = bought.kept(entry.digest)
    shelf = origin.of(settings, shelves, entry)
    by_digest = {
        release.digest: version
        for version, release in (origin.releases(shelf, entry) if shelf else {}).items()
    }
    if shelf is not None and entry.digest in by_digest:
        version = by_digest[entry.digest]
        with bought.from_place(shelf.place, shelf.catalogue, entry.plugin, version) as candidate:
            found = candidate.found
    elif kept is not None:
        found = admission.admit(*kept, trusted, entry.plugin)
    else:
        raise OciError(
            f"{entry.image} is in no marketplace of yours, and not in the cache",
            fix="install it again",
            reason="ImageNotFound",
        )
    if kept is not None:
        images.check(kept[0], kept[1])
    return found
