"""Moving images to and from a registry, by OCI's distribution protocol; every byte is compared.

Methods block. No answer of a registry is believed: what it sends has to have the digest asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode, urljoin, urlsplit

from ntp.oci import artifact
from ntp.oci.archive import blobs_of
from ntp.oci.artifact import Artifact
from ntp.oci.descriptor import (
    INDEX,
    INDEXES,
    MANIFESTS,
    MAX_BLOB,
    MAX_DOCUMENT,
    Descriptor,
    digest_of,
    dump,
    is_digest,
    load,
    parse,
)
from ntp.oci.fault import OciError
from ntp.oci.image import Image, index, one_platform, read
from ntp.oci.layout import CHUNK, Layout
from ntp.oci.reference import Reference
from ntp.oci.referrer import Attached
from ntp.oci.registry_access import Credentials
from ntp.oci.registry_line import Line, again, body

MAX_ATTACHED = 64 * 1024**2
"""Bytes of all that is attached to an image: anybody who may push can attach."""
_ACCEPTED = ", ".join(sorted(MANIFESTS | INDEXES))

Progress = Callable[[str], None]


class Registry:
    """One registry. `plain`: without TLS, which is otherwise only taken on this machine itself."""

    def __init__(
        self, host: str, *, credentials: Credentials | None = None, plain: bool = False
    ) -> None:
        self._line = Line(host, credentials=credentials, plain=plain)

    def close(self) -> None:
        self._line.close()

    def resolve(self, reference: Reference) -> Descriptor:
        """Return what the reference means now; by a digest it is exactly that one.

        Raises:
            OciError: there is none, or the registry does not answer, or it lies.
        """
        return self._manifest(reference)[0]

    def pull(
        self,
        reference: Reference,
        into: Layout,
        *,
        architecture: str,
        progress: Progress = lambda _: None,
    ) -> Image:
        """Fetch an image into a layout: blobs that are there already are not fetched again.

        Raises:
            OciError: it is not there, not for this architecture, or not what its digests say.
        """
        image = self.pull_manifest(reference, into, architecture=architecture)
        self.pull_layers(reference, image, into, progress=progress)
        return image

    def pull_manifest(self, reference: Reference, into: Layout, *, architecture: str) -> Image:
        """Fetch what an image says of itself, manifest and config, and none of its layers; as `pull`."""
        descriptor, content = self._manifest(reference)
        into.take(iter((content,)), descriptor)
        chosen = one_platform(into, descriptor, architecture=architecture)
        if chosen.digest != descriptor.digest:
            found, content = self._manifest(reference.at(chosen.digest))
            into.take(iter((content,)), found)
            chosen = found
        manifest = load(content, f"the manifest {chosen.digest}")
        self._fetch(reference, parse(manifest.get("config"), "the config"), into)
        return read(into, chosen)

    def pull_layers(
        self,
        reference: Reference,
        image: Image,
        into: Layout,
        *,
        progress: Progress = lambda _: None,
    ) -> None:
        """Fetch the layers of an image whose manifest is here; as `pull`."""
        for number, layer in enumerate(image.layers, start=1):
            progress(f"layer {number} of {len(image.layers)} ({layer.size:,} bytes)")
            self._fetch(reference, layer, into, limit=MAX_BLOB)

    def pull_artifact(self, reference: Reference, into: Layout) -> Artifact:
        """Fetch a manifest that is no image, with its files; as `pull`."""
        descriptor, content = self._manifest(reference)
        into.take(iter((content,)), descriptor)
        found = artifact.read(into, descriptor)
        for blob in (found.config, *found.files.values()):
            self._fetch(reference, blob, into)
        return found

    def push_artifact(self, layout: Layout, sent: Artifact, to: Reference) -> Reference:
        """Send a manifest that is no image, with its files, under the tag of `to`."""
        for blob in (sent.config, *sent.files.values()):
            if not self._has(to, blob):
                self._send(to, layout, blob)
        self._put(to, layout.read(sent.descriptor), sent.descriptor, tag=to.tag)
        return to.at(sent.descriptor.digest)

    def push(
        self,
        layout: Layout,
        image: Image,
        to: Reference,
        *,
        attachments: Sequence[Attached] = (),
        progress: Progress = lambda _: None,
    ) -> Reference:
        """Send the image with what is attached to it; return its reference by digest."""
        for blob in blobs_of(image, attachments):
            if blob.media_type not in MANIFESTS and not self._has(to, blob):
                progress(f"{blob.digest[:19]} ({blob.size:,} bytes)")
                self._send(to, layout, blob)
        self._put(to, layout.read(image.descriptor), image.descriptor, tag=to.tag)
        for each in attachments:
            answer = self._put(to, layout.read(each.descriptor), each.descriptor, tag=None)
            if "oci-subject" not in answer:
                self._list_by_tag(to, image, each)
        return to.at(image.digest)

    def push_index(self, layout: Layout, images: Sequence[Image], to: Reference) -> Reference:
        """Put images that are there, one an architecture, under the tag of `to`; return what names all."""
        listed = layout.put_json(index(images), INDEX)
        self._put(to, layout.read(listed), listed, tag=to.tag)
        return to.at(listed.digest)

    def referrers(self, reference: Reference) -> tuple[Descriptor, ...]:
        """Return what is attached to the digest of `reference`."""
        if reference.digest is None:
            raise OciError(f"{reference} has no digest: resolve it first")
        path = f"/v2/{reference.repository}/referrers/{reference.digest}"
        with self._line.ask("GET", path, reference, headers={"Accept": INDEX}) as answer:
            if answer.status == 200 and answer.headers.get("content-type", "").startswith(INDEX):
                return self._listed(body(answer, MAX_DOCUMENT))
        tagged = self._tagged(reference, reference.digest)
        return self._listed(tagged) if tagged is not None else ()

    def pull_attached(self, reference: Reference, into: Layout) -> tuple[Descriptor, ...]:
        """Fetch what is attached to the digest of `reference`, and return what it is.

        Raises:
            OciError: as `pull`.
        """
        found = []
        left = MAX_ATTACHED
        for listed in self.referrers(reference):
            descriptor, content = self._manifest(reference.at(listed.digest))
            left = _less(left, descriptor, reference)
            into.take(iter((content,)), descriptor)
            manifest = load(content, f"the manifest {descriptor.digest}")
            layers = manifest.get("layers")
            for blob in [manifest.get("config"), *(layers if isinstance(layers, list) else ())][:8]:
                attached = parse(blob, f"the manifest {descriptor.digest}")
                left = _less(left, attached, reference)
                self._fetch(reference, attached, into)
            found.append(listed)
        return tuple(found)

    def _listed(self, content: bytes) -> tuple[Descriptor, ...]:
        manifests = load(content, "the list of referrers").get("manifests")
        if not isinstance(manifests, list) or len(manifests) > 1000:
            raise OciError("the list of referrers is none")
        return tuple(parse(each, "the list of referrers") for each in manifests)

    def _tagged(self, reference: Reference, digest: str) -> bytes | None:
        """The fallback of OCI 1.1 for registries without the referrers' API: an index under a tag."""
        path = f"/v2/{reference.repository}/manifests/{digest.replace(':', '-')}"
        with self._line.ask("GET", path, reference, headers={"Accept": INDEX}) as answer:
            return body(answer, MAX_DOCUMENT) if answer.status == 200 else None

    def _list_by_tag(self, to: Reference, image: Image, attached: Attached) -> None:
        before = self._tagged(to, image.digest)
        listed = [] if before is None else list(self._listed(before))
        if any(each.digest == attached.descriptor.digest for each in listed):
            return
        document = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [each.to_json() for each in [*listed, attached.descriptor]],
        }
        content = dump(document)
        descriptor = Descriptor(INDEX, digest_of(content), len(content))
        self._put(to, content, descriptor, tag=image.digest.replace(":", "-"))

    def _manifest(self, reference: Reference) -> tuple[Descriptor, bytes]:
        wanted = reference.digest or reference.tag
        path = f"/v2/{reference.repository}/manifests/{wanted}"
        with self._line.ask("GET", path, reference, headers={"Accept": _ACCEPTED}) as answer:
            if answer.status == 404:
                raise OciError(
                    f"{reference} is not there",
                    fix="check its name and tag",
                    reason="ImageNotFound",
                )
            self._line.expect(answer, reference, 200)
            content = body(answer, MAX_DOCUMENT)
            media = answer.headers.get("content-type", "").partition(";")[0].strip()
        found = digest_of(content)
        claimed = reference.digest or answer.headers.get("docker-content-digest") or found
        if claimed != found:
            raise OciError(f"{reference}: the registry sent a manifest whose digest is {found}")
        if media not in MANIFESTS | INDEXES:
            raise OciError(f"{reference} is {media[:80]!r}, and no image")
        return Descriptor(media, found, len(content)), content

    def _fetch(self, reference: Reference, blob: Descriptor, into: Layout, *, limit: int = MAX_DOCUMENT) -> None:  # fmt: skip
        # What a blob is for says how large it may be: its media type is whatever somebody wrote.
        if into.has(blob):
            into.check(blob)
            return
        if blob.size > limit:
            raise OciError(f"{reference}: {blob.digest} has {blob.size:,} bytes")
        path = f"/v2/{reference.repository}/blobs/{blob.digest}"

        def once() -> None:
            with self._line.ask("GET", path, reference) as answer:
                self._line.expect(answer, reference, 200)
                into.take(answer.stream(CHUNK), blob)

        again(once)

    def _has(self, to: Reference, blob: Descriptor) -> bool:
        path = f"/v2/{to.repository}/blobs/{blob.digest}"
        with self._line.ask("HEAD", path, to, push=True) as answer:
            return bool(answer.status == 200)

    def _send(self, to: Reference, layout: Layout, blob: Descriptor) -> None:
        def once() -> None:
            path = f"/v2/{to.repository}/blobs/uploads/"
            with self._line.ask("POST", path, to, push=True) as answer:
                self._line.expect(answer, to, 202)
                place = urljoin(self._line.root + path, answer.headers.get("location", ""))
            if urlsplit(place).netloc != urlsplit(self._line.root).netloc:
                raise OciError(f"{to}: the registry wants the upload elsewhere")
            parts = urlsplit(place)
            query = "&".join(
                each for each in (parts.query, urlencode({"digest": blob.digest})) if each
            )
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(blob.size),
            }
            with self._line.ask(
                "PUT",
                f"{parts.path}?{query}",
                to,
                push=True,
                headers=headers,
                body=layout.chunks(blob),
            ) as answer:
                self._line.expect(answer, to, 201)

        again(once)

    def _put(
        self, to: Reference, content: bytes, descriptor: Descriptor, *, tag: str | None
    ) -> Mapping[str, str]:
        path = f"/v2/{to.repository}/manifests/{tag or descriptor.digest}"
        headers = {"Content-Type": descriptor.media_type}
        with self._line.ask("PUT", path, to, push=True, headers=headers, body=content) as answer:
            self._line.expect(answer, to, 201)
            said = answer.headers.get("docker-content-digest")
            if is_digest(said) and said != descriptor.digest:
                raise OciError(f"{to}: the registry stored {said} in place of {descriptor.digest}")
            return {name.lower(): text for name, text in answer.headers.items()}


def _less(left: int, taken: Descriptor, reference: Reference) -> int:
    if taken.size > left:
        raise OciError(f"{reference} has more than {MAX_ATTACHED:,} bytes attached")
    return left - taken.size
