"""Whether a catalogue is its owner's, the newest, and not too old: The Update Framework, by python-tuf.

Four signed roles: `root` says whose keys count, `targets` which catalogue, `snapshot` and `timestamp` that it
is the newest. Reading refuses a forged, an expired, an older and a mixed one. https://theupdateframework.io
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from ntp.oci.fault import OciError
from ntp.oci.market.catalogue import FILE
from ntp.oci.market.tuf_keys import TufSigner, key_of, public_of
from ntp.oci.signing.key import PublicKey
from ntp.oci.signing.keyring import Signer

ROOT_DAYS, DAYS = 730, 90
"""How long a catalogue is believed without being signed anew: whoever serves an old one is found out by then."""
_ROOT = ".root.json"
FIRST_ROOT = f"1{_ROOT}"
_LAST = timedelta(days=365)
_ONLINE = ("targets", "snapshot", "timestamp")
_BASE = "catalogue://here/"


@dataclass(frozen=True, slots=True)
class Verified:
    """A catalogue that holds. `root`: the newest that follows from the one that was trusted. `roots`: the file
    names of it and of those before it; no other that lay there. `version`: of the newest signature.
    """

    content: bytes
    root: bytes
    roots: Mapping[str, bytes]
    version: int


def begin(
    content: bytes, *, root: Signer, catalogue: Signer, now: datetime, days: int = DAYS
) -> dict[str, bytes]:
    """Sign a first catalogue.

    Args:
        content: the catalogue.
        root: whose key says which others count; it is needed again only for that, and may lie elsewhere.
        catalogue: whose key signs each version of it.
        now: aware, UTC.
        days: until it has to be signed anew.
    """
    document = Root(version=1, expires=_whole(now, ROOT_DAYS), consistent_snapshot=False)
    document.add_key(key_of(root.public), "root")
    for role in _ONLINE:
        document.add_key(key_of(catalogue.public), role)
    signed = Metadata(document)
    signed.sign(TufSigner(root))
    return {FIRST_ROOT: signed.to_bytes(), **_sign(content, 1, catalogue, now, days)}


def renew(
    found: Verified,
    content: bytes,
    *,
    catalogue: Signer,
    now: datetime,
    days: int = DAYS,
) -> dict[str, bytes]:
    """Sign the next version of a catalogue that was verified.

    Whoever may only write to its place can put any root there: none is signed or kept but the verified ones.
    The root stays as it is; where the same key signs it, it is dated anew in its last year.

    Raises:
        OciError: the key is not one that this catalogue's root allows.
    """
    roots = dict(found.roots)
    root: Metadata[Root] = Metadata.from_bytes(found.root)
    if key_of(catalogue.public).keyid not in root.signed.roles["targets"].keyids:
        raise OciError(
            f"the key {catalogue.public.fingerprint} may not sign this catalogue",
            fix="sign with its owner's: --key KEY",
            reason="KeyNotTrusted",
        )
    key = key_of(catalogue.public).keyid
    if key in root.signed.roles["root"].keyids and root.signed.expires < now + _LAST:
        root.signed.version += 1
        root.signed.expires = _whole(now, ROOT_DAYS)
        root.sign(TufSigner(catalogue))
        roots[f"{root.signed.version}{_ROOT}"] = root.to_bytes()
    return {**roots, **_sign(content, found.version + 1, catalogue, now, days)}


def root_expires(found: Verified) -> datetime:
    """Return when the root has to be signed anew at the latest; UTC."""
    root: Metadata[Root] = Metadata.from_bytes(found.root)
    return root.signed.expires


def replace(
    found: Verified,
    content: bytes,
    *,
    old: PublicKey,
    new: Signer,
    root: Signer,
    now: datetime,
    days: int = DAYS,
) -> dict[str, bytes]:
    """Have another key sign in place of one, in every role that it had; whoever trusted the root follows.

    Args:
        found: what was verified; no root counts but its own.
        content: the catalogue.
        old: whose signatures count no more from now on.
        new: who signs from now on.
        root: whose key is the root's as of now: `old`, where that has both.
        now: aware, UTC.
        days: until the catalogue has to be signed anew.

    Raises:
        OciError: `root` is not the root's key, or `old` has no role.
    """
    signed: Metadata[Root] = Metadata.from_bytes(found.root)
    document = signed.signed
    before, after = key_of(old).keyid, key_of(new.public)
    if key_of(root.public).keyid not in document.roles["root"].keyids:
        raise OciError(
            f"the key {root.public.fingerprint} is not the root's of this catalogue",
            fix="name it: --root-key KEY",
            reason="KeyNotTrusted",
        )
    mine = [name for name, role in document.roles.items() if before in role.keyids]
    if not mine:
        raise OciError(f"the key {old.fingerprint} signs nothing of this catalogue")
    for role in mine:
        document.revoke_key(before, role)
        document.add_key(after, role)
    document.version += 1
    document.expires = _whole(now, ROOT_DAYS)
    signed.sign(TufSigner(root))
    if "root" in mine:
        signed.sign(TufSigner(new), append=True)  # a new root is signed by those of both
    return {
        **found.roots,
        f"{document.version}{_ROOT}": signed.to_bytes(),
        **_sign(content, found.version + 1, new, now, days),
    }


def newest_root(files: Mapping[str, bytes]) -> bytes:
    """Return the newest root among a catalogue's files, unverified; OciError if there is none."""
    roots = _roots(files)
    if not roots:
        raise OciError("the catalogue has no root", reason="CatalogueRefused")
    return roots[max(roots, key=lambda name: int(name.removesuffix(_ROOT)))]


def owners(root: bytes, where: str) -> tuple[PublicKey, ...]:
    """Return those of the keys that a root names as its own whose signature on it holds.

    A key that is only named has agreed to nothing: anybody can name it beside their own.

    Raises:
        OciError: it is no root, or not signed by its own keys.
    """
    try:
        found: Metadata[Root] = Metadata[Root].from_bytes(root)
        found.signed.verify_delegate("root", found.signed_bytes, found.signatures)
        result = found.signed.get_verification_result("root", found.signed_bytes, found.signatures)
        return tuple(public_of(each, where) for each in result.signed.values())
    except (exceptions.RepositoryError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _refused(where, error) from error


def verify(files: Mapping[str, bytes], folder: Path, root: bytes, where: str) -> Verified:
    """Return the catalogue among these files, and remember its version.

    Args:
        files: as they lay in the marketplace, unverified.
        folder: where what was seen before is kept; made if it is missing.
        root: that the user once said is the right one.
        where: what a person calls the marketplace.

    Raises:
        OciError: it is not its owner's, is older than what was seen before, expired, or mixed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    limits = UpdaterConfig(max_root_rotations=32, root_max_length=64 * 1024)
    try:
        updater = Updater(str(folder), _BASE, fetcher=_Held(files), config=limits, bootstrap=root)
        updater.refresh()
        target = updater.get_targetinfo(FILE)
        content = files.get(FILE)
        if target is None or content is None:
            raise OciError(f"the catalogue of {where} has no {FILE}", reason="CatalogueRefused")
        target.verify_length_and_hashes(content)
    except exceptions.ExpiredMetadataError as error:
        raise OciError(
            f"the catalogue of {where} has expired: it was not signed anew in time, or an old one is served",
            fix="ask its owner to run `ntp marketplace sync`",
            reason="CatalogueExpired",
        ) from error
    except exceptions.BadVersionNumberError as error:
        raise OciError(
            f"the catalogue of {where} is older than the one that was seen here before: {error}",
            fix="ask its owner; until then nothing is installed from it",
            reason="CatalogueRolledBack",
        ) from error
    except (exceptions.RepositoryError, exceptions.DownloadError, ValueError) as error:
        raise _refused(where, error) from error
    return _remembered(content, files, folder)


def _remembered(content: bytes, files: Mapping[str, bytes], folder: Path) -> Verified:
    """Return what python-tuf has just verified: it keeps that in the folder, and nothing else."""
    root = (folder / "root.json").read_bytes()
    newest: Metadata[Root] = Metadata.from_bytes(root)
    timestamp: Metadata[Timestamp] = Metadata.from_file(str(folder / "timestamp.json"))
    names = [f"{number}{_ROOT}" for number in range(1, newest.signed.version + 1)]
    roots = {name: files[name] for name in names if name in files}
    seen = folder / "root_history"
    roots |= {name: (seen / name).read_bytes() for name in names if (seen / name).exists()}
    return Verified(content, root, roots, timestamp.signed.version)


def _roots(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        name: held
        for name, held in files.items()
        if name.endswith(_ROOT) and name.removesuffix(_ROOT).isdecimal()
    }


class _Held(FetcherInterface):
    """Serves what was fetched already, as one artifact by its digest."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        content = self._files.get(url.removeprefix(_BASE))
        if content is None:
            raise exceptions.DownloadHTTPError(f"{url} is not there", 404)
        return iter((content,))


def _sign(content: bytes, version: int, by: Signer, now: datetime, days: int) -> dict[str, bytes]:
    expires = _whole(now, days)
    target = TargetFile.from_data(FILE, content, ["sha256"])
    targets = Metadata(Targets(version=version, expires=expires, targets={FILE: target}))
    snapshot = Metadata(Snapshot(version=version, expires=expires))
    snapshot.signed.meta["targets.json"].version = version
    timestamp = Metadata(Timestamp(version=version, expires=expires))
    timestamp.signed.snapshot_meta.version = version
    signer = TufSigner(by)
    for each in (targets.sign, snapshot.sign, timestamp.sign):
        each(signer)
    return {
        FILE: content,
        "targets.json": targets.to_bytes(),
        "snapshot.json": snapshot.to_bytes(),
        "timestamp.json": timestamp.to_bytes(),
    }


def _whole(now: datetime, days: int) -> datetime:
    return (now + timedelta(days=days)).replace(microsecond=0)


def _refused(where: str, error: Exception) -> OciError:
    return OciError(
        f"the catalogue of {where} is refused: {' '.join(str(error).split())[:300]}",
        fix="ask its owner; until then nothing is installed from it",
        reason="CatalogueRefused",
    )
