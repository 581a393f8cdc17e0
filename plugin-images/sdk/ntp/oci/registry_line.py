"""The line to one registry: requests with who we are, answers within bounds, refusals in words."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from ntp.oci.fault import OciError
from ntp.oci.reference import Reference
from ntp.oci.registry_access import Access, Credentials

TRIES = 3
CONNECT_S, READ_S = 10.0, 60.0
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = urllib3.Retry(
    total=None, connect=0, read=0, status=0, other=0, redirect=5, raise_on_status=False
)
"""Blobs of large registries lie elsewhere. A `total` of 0 would count redirects too; a password stays here."""


class Line:
    """To one registry; it keeps its connections until it is closed."""

    def __init__(
        self, host: str, *, credentials: Credentials | None = None, plain: bool = False
    ) -> None:
        bare = urlsplit(f"//{host}").hostname or ""
        scheme = "http" if plain or bare in ("localhost", "127.0.0.1", "::1") else "https"
        self.root = f"{scheme}://{host}"
        self._host = host
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S), retries=False
        )
        self._access = Access(self._pool, credentials)

    def close(self) -> None:
        self._pool.clear()

    @contextmanager
    def ask(
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
        url = self.root + path
        scope = f"repository:{reference.repository}:{'pull,push' if push else 'pull'}"
        answer = None
        try:
            for last in (False, True):
                said = {**(headers or {}), **self._access.headers(scope)}
                answer = self._pool.request(
                    method, url, headers=said, body=body, preload_content=False, redirect=method == "GET",
                    retries=_REDIRECTS if method == "GET" else False,
                )  # fmt: skip
                if answer.status != 401 or last:
                    break
                answer.drain_conn()
                answer.release_conn()
                self._access.learn(answer.headers.get("www-authenticate", ""), scope, self.root)
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

    def expect(self, answer: Any, reference: Reference, status: int) -> None:
        if answer.status == status:
            return
        said = " ".join(body(answer, 4096, strict=False).decode(errors="replace").split())[:300]
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


def body(answer: Any, limit: int, *, strict: bool = True) -> bytes:
    """Return an answer's body; where that is larger than `limit`, OciError, or only its beginning."""
    found = bytearray()
    for chunk in answer.stream(64 * 1024):
        found += chunk
        if len(found) > limit:
            if strict:
                raise OciError(f"the registry's answer has more than {limit:,} bytes")
            break
    return bytes(found[:limit])


def again(once: Callable[[], None]) -> None:
    """Do it, and once more after a pause where what went wrong passes."""
    for left in reversed(range(TRIES)):
        try:
            once()
        except OciError as error:
            if not error.transient or not left:
                raise
            time.sleep(0.5 * 2 ** (TRIES - left - 1))
        else:
            return
