"""Our keys and signers with the face that python-tuf asks for."""

from typing import Any

from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.signer import Key, Signature, Signer, SSlibKey

from ntp.oci.signing import key as keys
from ntp.oci.signing.key import PublicKey
from ntp.oci.signing.keyring import Signer as Mine


class TufSigner(Signer):
    """Our signer with the face of python-tuf's."""

    def __init__(self, signer: Mine) -> None:
        self._signer = signer
        self._key = key_of(signer.public)

    @property
    def public_key(self) -> Key:
        return self._key

    @classmethod
    def from_priv_key_uri(cls, *_: Any, **__: Any) -> "TufSigner":
        raise NotImplementedError("keys come from the keyring")

    def sign(self, payload: bytes) -> Signature:
        return Signature(self._key.keyid, self._signer.sign(payload).hex())


def key_of(public: PublicKey) -> SSlibKey:
    return SSlibKey.from_crypto(load_der_public_key(public.der))


def public_of(key: Key, where: str) -> PublicKey:
    """Return the key; `where`: whose catalogue names it. OciError: it is of no kind that we read."""
    text = str(key.keyval.get("public"))
    if key.keytype == keys.ED25519 and not text.startswith("-----"):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return keys.of(Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)))
    return keys.read_pem(text.encode(), f"a key of the catalogue of {where}")
