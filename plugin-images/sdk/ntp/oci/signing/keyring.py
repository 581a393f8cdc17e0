"""The user's signing keys: files that nobody else may read, in the folder of their configuration."""

import contextlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ntp.contract.names import NAME_PATTERN
from ntp.oci.descriptor import load
from ntp.oci.fault import OciError
from ntp.oci.signing import key as keys
from ntp.oci.signing.key import ED25519, MAX_PEM, PublicKey

FOLDER = "NTP_CONFIG"
"""Setting: where a user's configuration is, in place of what the system has for it."""
_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")
_PRIVATE, _PUBLIC, _ABOUT = ".key", ".pub", ".json"
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Held:
    """A key of the user's. Times are UTC. `encrypted`: it asks for a passphrase."""

    name: str
    public: PublicKey
    created: datetime
    encrypted: bool
    revoked: datetime | None = None
    reason: str = ""


class Signer:
    """A private key, ready to sign; it shows itself to nobody."""

    def __init__(self, private: Private) -> None:
        self._private = private
        self.public = keys.of(private.public_key())

    def sign(self, content: bytes) -> bytes:
        """Return the signature: DER for ECDSA. The same content has the same one (RFC 6979, RFC 8032)."""
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(content)
        return self._private.sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def __repr__(self) -> str:
        return f"Signer({self.public.fingerprint})"


def configuration(environment: Mapping[str, str]) -> Path:
    """Return the user's configuration folder: NTP_CONFIG, else where the system has such folders."""
    if named := environment.get(FOLDER):
        return Path(named)
    return Path(platformdirs.user_config_path("ntp", appauthor=False))


class Keyring:
    """Keys by name. Methods raise OciError where a key is not there, is there already, or is no key."""

    def __init__(self, folder: Path) -> None:
        """Keep the place.

        Args:
            folder: the user's configuration; keys lie in `keys` inside, 0700, made when needed.
        """
        self.root = folder / "keys"

    def create(self, name: str, *, algorithm: str, passphrase: bytes | None) -> Held:
        """Make a key; nothing is left where that fails.

        Args:
            name: as plugins are named.
            algorithm: `ecdsa-p256`, which cosign takes, or `ed25519`.
            passphrase: that it is encrypted with; None: not at all.
        """
        self._check(name)
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        private: Private = (
            ed25519.Ed25519PrivateKey.generate()
            if algorithm == ED25519
            else ec.generate_private_key(ec.SECP256R1())
        )
        locked: KeySerializationEncryption = (
            BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        )
        found = Held(
            name,
            keys.of(private.public_key()),
            datetime.now(UTC).replace(microsecond=0),
            bool(passphrase),
        )
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
        path = self._path(name, _PRIVATE)
        try:
            _new(path, secret)
        except FileExistsError as error:
            raise OciError(
                f"there is a key '{name}' already, {self.get(name).public.fingerprint}",
                fix="choose another name: a key is never overwritten",
            ) from error
        try:
            self._say(found)
            _replace(self._path(name, _PUBLIC), found.public.pem)
        except BaseException:
            for suffix in (_PRIVATE, _PUBLIC, _ABOUT):
                self._path(name, suffix).unlink(missing_ok=True)
            raise
        return found

    def listed(self) -> tuple[Held, ...]:
        if not self.root.is_dir():
            return ()
        names = sorted(path.stem for path in self.root.glob(f"*{_PRIVATE}"))
        return tuple(self.get(name) for name in names if _NAME.match(name))

    def get(self, name: str) -> Held:
        self._check(name)
        path = self._path(name, _PRIVATE)
        if not path.is_file():
            known = ", ".join(each.stem for each in sorted(self.root.glob(f"*{_PRIVATE}")))
            raise OciError(
                f"there is no key '{name}' in {self.root}",
                fix=f"yours are {known}" if known else f"make one: ntp keys create {name}",
            )
        public = keys.read_file(self._path(name, _PUBLIC))
        said = load(_bounded(self._path(name, _ABOUT)), str(self._path(name, _ABOUT)))
        try:
            revoked = said.get("revoked")
            return Held(
                name,
                public,
                datetime.fromisoformat(said["created"]),
                bool(said["encrypted"]),
                datetime.fromisoformat(revoked) if revoked else None,
                str(said.get("reason", "")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OciError(f"{self._path(name, _ABOUT)} cannot be read") from error

    def signer(self, name: str, passphrase: bytes | None) -> Signer:
        """Return a key that is ready to sign; one that was revoked signs nothing any more."""
        held = self.get(name)
        if held.revoked is not None:
            raise OciError(
                f"the key '{name}' was revoked at {held.revoked.isoformat()}",
                fix="sign with another: ntp keys list",
                reason="KeyRevoked",
            )
        path = self._path(name, _PRIVATE)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise OciError(
                f"the key {path} may be read by others (mode {mode:04o})", fix=f"chmod 600 {path}"
            )
        if held.encrypted and not passphrase:
            raise OciError(
                f"the key '{name}' has a passphrase", fix="set NTP_KEY_PASSPHRASE, or run this in a terminal"
            )  # fmt: skip
        try:
            private = load_pem_private_key(_bounded(path), passphrase if held.encrypted else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            words = "the passphrase is another" if held.encrypted else "it is no private key"
            raise OciError(f"the key '{name}' cannot be used: {words}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise OciError(f"{path} is of a kind that nobody here makes")
        found = Signer(private)
        if found.public != held.public:
            raise OciError(f"{path} and {self._path(name, _PUBLIC)} are not of one key")
        return found

    def revoke(self, name: str, reason: str) -> Held:
        """Have the key sign nothing any more; one that is revoked already keeps its time and reason."""
        held = self.get(name)
        if held.revoked is not None:
            return held
        found = Held(
            name,
            held.public,
            held.created,
            held.encrypted,
            datetime.now(UTC).replace(microsecond=0),
            reason,
        )
        self._say(found)
        return found

    def _say(self, held: Held) -> None:
        document: dict[str, Any] = {
            "created": held.created.isoformat(),
            "encrypted": held.encrypted,
            "revoked": held.revoked.isoformat() if held.revoked else None,
            "reason": held.reason,
        }
        _replace(self._path(held.name, _ABOUT), json.dumps(document, indent=1).encode())

    def _path(self, name: str, suffix: str) -> Path:
        return self.root / f"{name}{suffix}"

    def _check(self, name: str) -> None:
        if not _NAME.match(name):
            raise OciError(
                f"{name[:80]!r} is no name of a key",
                fix="lower-case letters, digits, '_' and '-', a letter first, at most 40 characters",
            )


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_PEM)


def _new(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _replace(path: Path, content: bytes) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        scratch.unlink()
    try:
        _new(scratch, content)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
