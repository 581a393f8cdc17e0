"""Which marketplaces a user has: places whose owner they trust, by name, in their configuration folder."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ntp.contract.names import NAME_PATTERN
from ntp.oci.descriptor import load
from ntp.oci.fault import OciError
from ntp.oci.market import catalogue, place, trust
from ntp.oci.market.catalogue import Catalogue
from ntp.oci.market.place import Listed, Place
from ntp.oci.market.trust import Verified
from ntp.oci.signing.key import PublicKey

FILE = "marketplaces.json"
ROOT = "root.json"
"""That a user trusted first; who may sign now follows from it."""
LOCAL = "local"
"""Name of the one that is made where none is configured."""
MAX_FILE = 256 * 1024
_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")


@dataclass(frozen=True, slots=True)
class Marketplace:
    """`owner`: fingerprint of the key that its root was trusted by. `key`: of ours, that signs its catalogue."""

    name: str
    location: str
    owner: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A catalogue that was verified. `listed`: as it lay there; its digest is what a change replaces.
    `verified`: what of it holds; a change is signed over that alone.
    """

    catalogue: Catalogue
    listed: Listed
    verified: Verified


class Marketplaces:
    """Of one user. Methods raise OciError."""

    def __init__(self, folder: Path) -> None:
        """Keep the place; `folder`: the user's configuration."""
        self._file = folder / FILE
        self._trust = folder / "marketplaces"

    def listed(self) -> tuple[Marketplace, ...]:
        """Return all, the default one first."""
        try:
            with self._file.open("rb") as file:
                document = load(file.read(MAX_FILE), str(self._file))
        except FileNotFoundError:
            return ()
        try:
            return tuple(Marketplace(**each) for each in document["marketplaces"])
        except (KeyError, TypeError) as error:
            raise OciError(
                f"{self._file} cannot be read", fix="move it away, and add them again"
            ) from error

    def get(self, name: str | None) -> Marketplace:
        """Return one by its name; None: the default, which is the first that was added."""
        every = self.listed()
        for each in every:
            if name in (None, each.name):
                return each
        known = ", ".join(each.name for each in every)
        what = f"there is no marketplace '{name}'" if name else "no marketplace is configured"
        raise OciError(
            what,
            fix=f"yours are {known}" if known else "ntp marketplace add NAME LOCATION",
            reason="NoMarketplace",
        )

    def check_new(self, name: str) -> None:
        """Refuse a name that is none, or is taken."""
        if not _NAME.match(name):
            raise OciError(
                f"{name[:80]!r} is no name of a marketplace",
                fix="lower-case letters, digits, '_' and '-', a letter first, at most 40 characters",
            )
        if any(each.name == name for each in self.listed()):
            raise OciError(
                f"there is a marketplace '{name}' already", fix="give this one another name"
            )

    def add(self, name: str, location: str, owner: PublicKey, root: bytes, key: str = "") -> Marketplace:  # fmt: skip
        """Trust a marketplace from now on, by its root.

        Args:
            name: for the user.
            location: as `place.at` takes it.
            owner: a key of that root, as the user was shown it.
            root: its newest root then, signed by that key.
            key: of ours, that may sign its catalogue.
        """
        self.check_new(name)
        folder = self._folder(name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / ROOT).write_bytes(root)
        found = Marketplace(name, location, owner.fingerprint, key)
        self._write([*self.listed(), found])
        return found

    def remove(self, name: str) -> Marketplace:
        """Forget a marketplace, with what it was trusted by and what was seen of it; nothing there changes."""
        found = self.get(name)
        self._write(each for each in self.listed() if each.name != name)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder(name))
        return found

    def signed_by(self, name: str, key: str) -> None:
        """Remember which key of ours signs the catalogue of a marketplace from now on."""
        every = self.listed()
        self._write(replace(each, key=key) if each.name == name else each for each in every)

    def fetch(self, of: Marketplace, there: Place) -> Fetched:
        """Return its catalogue, verified and remembered."""
        listed = there.catalogue()
        if listed is None:
            raise OciError(
                f"there is no catalogue at {of.location}",
                fix="its owner makes one: ntp marketplace init",
                reason="NoMarketplace",
            )
        where = f"'{of.name}'"
        folder = self._folder(of.name)
        try:
            root = (folder / ROOT).read_bytes()
        except OSError as error:
            raise OciError(
                f"what {where} was trusted by cannot be read: {(error.strerror or '').lower()}: {folder / ROOT}",
                fix=f"ntp marketplace remove {of.name}, then add it again",
            ) from error
        verified = trust.verify(listed.files, folder / "tuf", root, where)
        found = catalogue.read(verified.content, f"the catalogue of {where}")
        return Fetched(found, listed, verified)

    def open(self, of: Marketplace, environment: Mapping[str, str]) -> Place:
        return place.at(of.location, environment)

    def _folder(self, name: str) -> Path:
        return self._trust / name

    def _write(self, every: Iterable[Marketplace]) -> None:
        document = {"marketplaces": [asdict(each) for each in every]}
        scratch = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            scratch.write_text(json.dumps(document, indent=1))
            scratch.replace(self._file)
        finally:
            scratch.unlink(missing_ok=True)
