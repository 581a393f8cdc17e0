"""What a marketplace has: plugins, their versions by digest, and whose keys may sign which of them."""

from datetime import datetime
from typing import Annotated

import msgspec

from ntp.contract import semver
from ntp.contract.names import is_name
from ntp.oci.descriptor import is_digest, load
from ntp.oci.fault import OciError
from ntp.oci.signing import key as keys
from ntp.oci.signing.key import PublicKey

FILE = "catalogue.json"
FORM = 1
ANY = "*"
"""In place of a plugin's name: all of them."""
Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Release(msgspec.Struct, frozen=True, omit_defaults=True):
    """`digest`: of the image's manifest. `size`: bytes of all its blobs. `published`: UTC."""

    digest: str
    size: int
    published: Time
    licence: str | None = None
    """Room for paid plugins: a release that names one is refused by whoever cannot check it."""


class Entry(msgspec.Struct, frozen=True):
    """A plugin. `newest`: the highest version that was ever published, its high-water mark."""

    kind: str
    description: str
    author: str
    newest: str
    versions: dict[str, Release]


class Publisher(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key by its PEM, the plugins whose images it may sign, and when it was revoked."""

    pem: str
    plugins: list[str]
    revoked: Time | None = None
    reason: str = ""


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """`publishers`: by fingerprint. `plugins`: by name. Who reads it has verified whose it is."""

    form: int = FORM
    publishers: dict[str, Publisher] = {}
    plugins: dict[str, Entry] = {}

    def key_for(self, name: str, hint: str) -> PublicKey | None:
        """Return the key of a bundle's hint, if it may sign this plugin.

        Raises:
            OciError: it was revoked.
        """
        found = self.publishers.get(f"SHA256:{hint}")
        if found is None or not {name, ANY} & set(found.plugins):
            return None
        key = keys.read_pem(found.pem.encode(), f"the key SHA256:{hint} of the catalogue")
        if found.revoked is not None:
            text = "".join(each for each in found.reason[:200] if each.isprintable())
            why = f": {text}" if text else ""
            raise OciError(
                f"'{name}' is signed by {key.fingerprint}, which was revoked at "
                f"{found.revoked.isoformat()}{why}",
                fix="wait for a release that is signed by another key",
                reason="KeyRevoked",
            )
        return key


def write(catalogue: Catalogue) -> bytes:
    return msgspec.json.encode(catalogue, order="sorted")


def read(content: bytes, where: str) -> Catalogue:
    """Read a catalogue; each name, version, digest and key in it is what it should be.

    Raises:
        OciError: it is of another form, or has something in it that is no name of ours.
    """
    load(content, where)
    try:
        found = msgspec.json.decode(content, type=Catalogue)
    except msgspec.ValidationError as error:
        raise OciError(f"{where} cannot be read: {error}") from error
    if found.form != FORM:
        raise OciError(f"{where} is of form {found.form}", fix="update ntp")
    for fingerprint, publisher in found.publishers.items():
        if keys.read_pem(publisher.pem.encode(), where).fingerprint != fingerprint:
            raise OciError(f"{where}: the key {fingerprint[:60]} has another fingerprint")
    for name, entry in found.plugins.items():
        if not is_name(name):
            raise OciError(f"{where} has {name[:80]!r}, which is no name of a plugin")
        if entry.newest not in entry.versions:
            raise OciError(f"{where}: '{name}' has no release {entry.newest[:80]!r}")
        for version, release in entry.versions.items():
            if not semver.is_version(version) or not is_digest(release.digest):
                raise OciError(f"{where}: '{name}' has the release {version[:80]!r}")
    return found
