"""Signing an image with all that is attached to it, and verifying that, by digest alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layout import Layout
from ntp.oci.referrer import Attached, attach
from ntp.oci.signing import bundle, statement
from ntp.oci.signing.key import PublicKey
from ntp.oci.signing.keyring import Signer

_ANNOTATIONS = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": statement.PREDICATE,
}
"""By which cosign finds a bundle without fetching it."""

Trusted = Callable[[str], PublicKey | None]
"""From a hint to the key of that hint, if that is trusted; it raises OciError for one that was revoked."""


@dataclass(frozen=True, slots=True)
class Verified:
    """`key`: who signed. `documents`: those of the attachments that the signature covers."""

    key: PublicKey
    documents: tuple[Attached, ...]


def is_signature(attached: Attached) -> bool:
    return attached.document.media_type == bundle.MEDIA_TYPE


def sign(
    layout: Layout, image: Image, name: str, attachments: Sequence[Attached], signer: Signer
) -> Attached:
    """Attach a signature over the image and over each document that is attached to it.

    Args:
        layout: has them.
        image: what is signed.
        name: of the plugin.
        attachments: what is signed with it; other signatures among them are left out.
        signer: who signs.
    """
    documents = [each.document for each in attachments if not is_signature(each)]
    payload = statement.write(name, image.descriptor, documents)
    content = bundle.write(payload, signer)
    return attach(layout, image, content, bundle.MEDIA_TYPE, annotations=_ANNOTATIONS)


def verify(
    layout: Layout, image: Image, attachments: Sequence[Attached], trusted: Trusted, *, name: str
) -> Verified:
    """Return the first signature of a trusted key that holds, after every byte that it covers was compared.

    Anybody who may push can attach: a bundle that cannot be read, is of a key that nobody trusts, or does not
    hold counts for nothing beside one that does, in whatever order they are listed.

    Args:
        layout: has the image and what is attached, each of which is about this image.
        image: read with its digests compared.
        attachments: signatures, and the documents that they cover.
        trusted: which keys are.
        name: of the plugin: a signature for another name is none for this.

    Raises:
        OciError: no signature, none of a trusted key, a revoked key, or something was altered or taken away.
    """
    found = [each.document for each in attachments if is_signature(each)]
    if not found:
        raise OciError(
            f"{image.digest} has no signature",
            fix="ask its author for a signed one: ntp plugin package --sign KEY",
            reason="Unsigned",
        )
    unread: list[OciError] = []
    refused: list[OciError] = []
    strangers: list[str] = []
    for each in found:
        where = f"the signature {each.digest}"
        try:
            read = bundle.read(layout.read(each, limit=bundle.MAX_BUNDLE), where)
        except OciError as error:  # keyless, of another tool, or garbage
            unread.append(error)
            continue
        try:
            key = trusted(read.hint)
            if key is not None:
                said = statement.read(read.verified(key), "the signed statement")
                return Verified(key, _covered(layout, image, attachments, said, name))
        except OciError as error:
            refused.append(error)
        else:
            strangers.append("".join(filter(str.isprintable, f"SHA256:{read.hint[:64]}")))
    if refused or not strangers:
        raise [*refused, *unread][0]
    raise OciError(
        f"{image.digest} is signed by {', '.join(strangers[:8])}, and that key is not trusted here",
        fix="compare the fingerprint with its author's, and trust it: --key FILE",
        reason="KeyNotTrusted",
    )


def _covered(
    layout: Layout,
    image: Image,
    attachments: Sequence[Attached],
    said: statement.Statement,
    name: str,
) -> tuple[Attached, ...]:
    if said.image != image.digest:
        raise OciError(
            f"the signature is over {said.image}, and this is {image.digest}",
            reason="SignatureRefused",
        )
    if said.name != name:
        raise OciError(
            f"the signature is for '{said.name[:80]}', and this is '{name}'",
            reason="SignatureRefused",
        )
    here = {(each.document.digest, each.document.media_type): each for each in attachments}
    covered = []
    for digest, media in said.documents.items():
        attached = here.get((digest, media))
        if attached is None:
            raise OciError(
                f"a document was signed with {image.digest} that is not attached to it: {media[:80]} "
                f"{digest}",
                reason="SignatureRefused",
            )
        layout.check(attached.document)
        covered.append(attached)
    return tuple(covered)
