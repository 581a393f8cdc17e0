"""Moving images to and from a registry, by OCI's distribution protocol; every byte is compared.

Methods block. No answer of a registry is believed: what it sends has to have the digest asked for.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from ntp.oci.archive import blobs_of
from ntp.oci.descriptor import (
    INDEX,
    INDEXES,
    LAYERS,
    MANIFESTS,
    MAX_DOCUMENT,
    Descriptor,
    digest_of,
    dump,
    is_digest,
    load,
    parse,
)
from ntp.oci.fault import OciError
from ntp.oci.image import Image, one_platform, read
from ntp.oci.layout import CHUNK, Layout
from ntp.oci.reference import Reference
from ntp.oci.referrer import Attached
from ntp.oci.registry_access import Access, Credentials

CONNECT_S, READ_S = 10.0, 60.0
TRIES = 3
_ACCEPTED = ", ".join(sorted(MANIFESTS | INDEXES))
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})

Progress = Callable[[str], None]


class Registry:
    """One registry. `plain`: without TLS, which is otherwise only taken on this machine itself."""

    def __init__(
        self, host: str, *, credentials: Credentials | None = None, plain: bool = False
    ) -> None:
        bare = urlsplit(f"//{host}").hostname or ""
        scheme = "http" if plain or bare in ("localhost", "127.0.0.1", "::1") else "https"
        self._root = f"{scheme}://{host}"
        self._host = host
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S), retries=False
        )
        self._access = Access(self._pool, credentials)

    def close(self) -> None:
        self._pool.clear()

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
        descriptor, content = self._manifest(reference)
        into.take(iter((content,)), descriptor)
        chosen = one_platform(into, descriptor, architecture=architecture)
        if chosen.digest != descriptor.digest:
            found, content = self._manifest(reference.at(chosen.digest))
            into.take(iter((content,)), found)
            chosen = found
        manifest = load(content, f"the manifest {chosen.digest}")
        self._fetch(reference, parse(manifest.get("config"), "the config"), into)
        image = read(into, chosen)
        for number, layer in enumerate(image.layers, start=1):
            progress(f"layer {number} of {len(image.layers)} ({layer.size:,} bytes)")
            self._fetch(reference, layer, into)
        return image

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

    def referrers(self, reference: Reference) -> tuple[Descriptor, ...]:
        """Return what is attached to the digest of `reference`."""
        if reference.digest is None:
            raise OciError(f"{reference} has no digest: resolve it first")
        path = f"/v2/{reference.repository}/referrers/{reference.digest}"
        with self._ask("GET", path, reference, headers={"Accept": INDEX}) as answer:
            if answer.status == 200 and answer.headers.get("content-type", "").startswith(INDEX):
                return self._listed(_content(answer, MAX_DOCUMENT))
        tagged = self._tagged(reference, reference.digest)
        return self._listed(tagged) if tagged is not None else ()

    def pull_attached(self, reference: Reference, into: Layout) -> tuple[Descriptor, ...]:
        """Fetch what is attached to the digest of `reference`, and return what it is.

        Raises:
            OciError: as `pull`.
        """
        found = []
        for listed in self.referrers(reference):
            descriptor, content = self._manifest(reference.at(listed.digest))
            into.take(iter((content,)), descriptor)
            manifest = load(content, f"the manifest {descriptor.digest}")
            layers = manifest.get("layers")
            for blob in [manifest.get("config"), *(layers if isinstance(layers, list) else ())][:8]:
                self._fetch(reference, parse(blob, f"the manifest {descriptor.digest}"), into)
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
        with self._ask("GET", path, reference, headers={"Accept": INDEX}) as answer:
            return _content(answer, MAX_DOCUMENT) if answer.status == 200 else None

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
        with self._ask("GET", path, reference, headers={"Accept": _ACCEPTED}) as answer:
            if answer.status == 404:
                raise OciError(
                    f"{reference} is not there",
                    fix="check its name and tag",
                    reason="ImageNotFound",
                )
            self._expect(answer, reference, 200)
            content = _content(answer, MAX_DOCUMENT)
            media = answer.headers.get("content-type", "").partition(";")[0].strip()
        found = digest_of(content)
        claimed = reference.digest or answer.headers.get("docker-content-digest") or found
        if claimed != found:
            raise OciError(f"{reference}: the registry sent a manifest whose digest is {found}")
        if media not in MANIFESTS | INDEXES:
            raise OciError(f"{reference} is {media[:80]!r}, and no image")
        return Descriptor(media, found, len(content)), content

    def _fetch(self, reference: Reference, blob: Descriptor, into: Layout) -> None:
        if into.has(blob):
            into.check(blob)
            return
        if blob.media_type not in LAYERS and blob.size > MAX_DOCUMENT:
            raise OciError(f"{reference}: {blob.digest} has {blob.size:,} bytes")
        path = f"/v2/{reference.repository}/blobs/{blob.digest}"

        def once() -> None:
            with self._ask("GET", path, reference) as answer:
                self._expect(answer, reference, 200)
                into.take(answer.stream(CHUNK), blob)

        _again(once)

    def _has(self, to: Reference, blob: Descriptor) -> bool:
        path = f"/v2/{to.repository}/blobs/{blob.digest}"
        with self._ask("HEAD", path, to, push=True) as answer:
            return bool(answer.status == 200)

    def _send(self, to: Reference, layout: Layout, blob: Descriptor) -> None:
        def once() -> None:
            path = f"/v2/{to.repository}/blobs/uploads/"
            with self._ask("POST", path, to, push=True) as answer:
                self._expect(answer, to, 202)
                place = urljoin(self._root + path, answer.headers.get("location", ""))
            if urlsplit(place).netloc != urlsplit(self._root).netloc:
                raise OciError(f"{to}: the registry wants the upload elsewhere")
            parts = urlsplit(place)
            query = "&".join(
                each for each in (parts.query, urlencode({"digest": blob.digest})) if each
            )
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(blob.size),
            }
            with self._ask(
                "PUT",
                f"{parts.path}?{query}",
                to,
                push=True,
                headers=headers,
                body=layout.chunks(blob),
            ) as answer:
                self._expect(answer, to, 201)

        _again(once)

    def _put(
        self, to: Reference, content: bytes, descriptor: Descriptor, *, tag: str | None
    ) -> Mapping[str, str]:
        path = f"/v2/{to.repository}/manifests/{tag or descriptor.digest}"
        headers = {"Content-Type": descriptor.media_type}
        with self._ask("PUT", path, to, push=True, headers=headers, body=content) as answer:
            self._expect(answer, to, 201)
            said = answer.headers.get("docker-content-digest")
            if is_digest(said) and said != descriptor.digest:
                raise OciError(f"{to}: the registry stored {said} in place of {descriptor.digest}")
            return {name.lower(): text for name, text in answer.headers.items()}

    @contextmanager
    def _ask(
        self,
        method: str,
        path: str,
        reference: Reference,
        *,
        push: bool = False,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
    ) -> Iterator[Any]:
        """Yield the answer; where the registry asks for it, with a token."""
        url = self._root + path
        scope = f"repository:{reference.repository}:{'pull,push' if push else 'pull'}"
        answer = None
        try:
            for last in (False, True):
                said = {**(headers or {}), **self._access.headers(scope)}
                answer = self._pool.request(
                    method, url, headers=said, body=body, preload_content=False, redirect=method == "GET",
                    retries=urllib3.Retry(total=0, redirect=5, raise_on_redirect=True, raise_on_status=False)
                    if method == "GET"
                    else False,
                )  # fmt: skip
                if answer.status != 401 or last:
                    break
                answer.drain_conn()
                answer.release_conn()
                self._access.learn(answer.headers.get("www-authenticate", ""), scope, self._root)
            yield answer
        except HTTPError as error:
            why = " ".join(str(getattr(error, "reason", None) or error).split())[:300]
            raise OciError(
                f"the registry {self._host} does not answer: {why}",
                fix="check the name and the network",
                reason="RegistryUnreachable",
                transient=True,
            ) from error
        finally:
            if answer is not None:
                answer.close()

    def _expect(self, answer: Any, reference: Reference, status: int) -> None:
        if answer.status == status:
            return
        said = " ".join(_content(answer, 4096, strict=False).decode(errors="replace").split())[:300]
        if answer.status in (401, 403):
            raise OciError(
                f"{reference}: the registry refuses ({answer.status}): {said}",
                fix="log in: `docker login` or `skopeo login` write the file that is read here",
                reason="RegistryRefused",
            )
        raise OciError(
            f"{reference}: the registry answered {answer.status}: {said}",
            fix="try again later" if answer.status in _TRANSIENT else "",
            reason="RegistryRefused",
            transient=answer.status in _TRANSIENT,
        )


def _content(answer: Any, limit: int, *, strict: bool = True) -> bytes:
    content = bytearray()
    for chunk in answer.stream(64 * 1024):
        content += chunk
        if len(content) > limit:
            if strict:
                raise OciError(f"the registry's answer has more than {limit:,} bytes")
            break
    return bytes(content[:limit])


def _again(once: Callable[[], None]) -> None:
    for left in reversed(range(TRIES)):
        try:
            once()
        except OciError as error:
            if not error.transient or not left:
                raise
            time.sleep(0.5 * 2 ** (TRIES - left - 1))
        else:
            return
