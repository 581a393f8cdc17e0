"""A public key: its one fingerprint, its PEM, and what it says of a signature."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from ntp.oci.fault import OciError

MAX_PEM = 8 * 1024
ECDSA, ED25519 = "ecdsa-p256", "ed25519"
Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`der`: SubjectPublicKeyInfo, the form that is hashed for the fingerprint."""

    der: bytes

    @property
    def hint(self) -> str:
        """How a bundle names the key, as cosign does: base64 of the SHA-256 of `der`."""
        return base64.b64encode(hashlib.sha256(self.der).digest()).decode()

    @property
    def fingerprint(self) -> str:
        """The one form in which a person is shown a key; openssl can make the same."""
        return f"SHA256:{self.hint}"

    @property
    def algorithm(self) -> str:
        return ECDSA if isinstance(self._loaded(), ec.EllipticCurvePublicKey) else ED25519

    @property
    def pem(self) -> bytes:
        return self._loaded().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Tell whether the signature is this key's over exactly these bytes."""
        key = self._loaded()
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
            else:
                key.verify(signature, content)
        except InvalidSignature:
            return False
        return True

    def _loaded(self) -> Public:
        return _supported(load_der_public_key(self.der), "the key")


def of(key: Public) -> PublicKey:
    return PublicKey(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def read_pem(content: bytes, where: str) -> PublicKey:
    """Read somebody else's public key.

    Args:
        content: PEM, `-----BEGIN PUBLIC KEY-----`.
        where: what a person calls it.

    Raises:
        OciError: it is none, or neither ECDSA P-256 nor Ed25519.
    """
    fix = "name a file that `ntp keys export` or `cosign public-key` wrote"
    if b"PRIVATE KEY" in content[:MAX_PEM]:
        raise OciError(f"{where} is a private key", fix=f"keep it to yourself; {fix}")
    if len(content) > MAX_PEM:
        raise OciError(f"{where} has more than {MAX_PEM:,} bytes, and is no key", fix=fix)
    try:
        return of(_supported(load_pem_public_key(content), where))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OciError(f"{where} is no public key in PEM", fix=fix) from error


def read_file(path: Path) -> PublicKey:
    """Read a public key from a file; OciError as `read_pem`, or where it cannot be read."""
    try:
        with path.open("rb") as file:
            return read_pem(file.read(MAX_PEM + 1), str(path))
    except OSError as error:
        raise OciError(
            f"the key {path} cannot be read: {(error.strerror or str(error)).lower()}",
            fix="name a file that `ntp keys export` wrote",
        ) from error


def _supported(key: object, where: str) -> Public:
    if isinstance(key, ed25519.Ed25519PublicKey) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return key
    raise OciError(
        f"{where} is neither an ECDSA P-256 nor an Ed25519 key", fix="`ntp keys create` makes one"
    )
