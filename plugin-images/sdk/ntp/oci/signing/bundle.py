"""A Sigstore bundle v0.3 with a key: a DSSE envelope and the name of the key that signed it.

Formats: https://github.com/sigstore/protobuf-specs (bundle), https://github.com/secure-systems-lab/dsse.
"""

import base64
import binascii
from dataclasses import dataclass

from ntp.oci.descriptor import dump, load
from ntp.oci.fault import OciError
from ntp.oci.signing.key import PublicKey
from ntp.oci.signing.keyring import Signer
from ntp.oci.signing.statement import MEDIA_TYPE as PAYLOAD_TYPE

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_BUNDLE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """As somebody sent it: nothing is verified. `hint`: which key signed it, by its own words."""

    hint: str
    payload: bytes
    signature: bytes

    def verified(self, key: PublicKey) -> bytes:
        """Return the payload; OciError if this key did not sign it."""
        if not key.verifies(self.signature, pre_authentication(self.payload)):
            raise OciError(
                f"the signature is not one of {key.fingerprint} over this statement",
                reason="SignatureRefused",
            )
        return self.payload


def pre_authentication(payload: bytes) -> bytes:
    """Return what DSSE signs: the payload with its type, each behind its length."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def write(payload: bytes, signer: Signer) -> bytes:
    """Sign an in-toto statement and return the bundle."""
    return dump(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {
                "publicKey": {"hint": signer.public.hint},
                "tlogEntries": [],
                "timestampVerificationData": {"rfc3161Timestamps": []},
            },
            "dsseEnvelope": {
                "payload": _text(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [
                    {"sig": _text(signer.sign(pre_authentication(payload))), "keyid": ""}
                ],
            },
        }
    )


def read(content: bytes, where: str) -> Bundle:
    """Read a bundle with a key; one with a certificate (keyless) is not taken.

    Raises:
        OciError: it is none, or has not one signature of an in-toto statement.
    """
    if len(content) > MAX_BUNDLE:
        raise OciError(f"{where} has more than {MAX_BUNDLE:,} bytes")
    found = load(content, where)
    if found.get("mediaType") != MEDIA_TYPE:
        raise OciError(f"{where} is {str(found.get('mediaType'))[:80]!r}, and {MEDIA_TYPE} is read")
    material, envelope = found.get("verificationMaterial"), found.get("dsseEnvelope")
    key = material.get("publicKey") if isinstance(material, dict) else None
    hint = key.get("hint") if isinstance(key, dict) else None
    if not isinstance(hint, str) or not hint:
        raise OciError(f"{where} does not say which key signed it")
    if not isinstance(envelope, dict) or envelope.get("payloadType") != PAYLOAD_TYPE:
        raise OciError(f"{where} has no envelope with an in-toto statement")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise OciError(f"{where} has not one signature")
    first = signatures[0] if isinstance(signatures[0], dict) else {}
    return Bundle(hint, _bytes(envelope.get("payload"), where), _bytes(first.get("sig"), where))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(value: object, where: str) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError) as error:
        raise OciError(f"{where} has something in it that is no base64") from error
