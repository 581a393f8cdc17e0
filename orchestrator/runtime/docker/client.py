"""docker-py's client with what docker-py has no parameters for, in its own manner."""

import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import docker
import docker.types
import docker.utils
from docker.transport import unixconn

READ_S = 10.0
Json = Mapping[str, Any]


class Closable(Protocol):
    def close(self) -> None: ...


class _Connection(unixconn.UnixHTTPConnection):  # type: ignore[misc]
    def connect(self) -> None:
        """Hang up where nobody listens: docker-py leaves such a socket to the garbage collector."""
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(self.timeout)
            link.connect(self.unix_socket)
        except BaseException:
            link.close()
            raise
        self.sock = link


class _Pool(unixconn.UnixHTTPConnectionPool):  # type: ignore[misc]
    def _new_conn(self) -> _Connection:
        return _Connection(self.base_url, self.socket_path, self.timeout)


class _Adapter(unixconn.UnixHTTPAdapter):  # type: ignore[misc]
    def get_connection(self, url: str, proxies: Any = None) -> _Pool:  # noqa: ARG002 # requests gives it
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = _Pool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[url] = pool
            return pool  # type: ignore[no-any-return]


class Client(docker.APIClient):  # type: ignore[misc] # docker-py has no types
    """One connection pool; belongs to one thread."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        if self.base_url.startswith("http+docker:"):
            # A socket is reached through no proxy: not to look for one each time saves a fifth of a question.
            self.trust_env = False

    def mount(self, prefix: str, adapter: Any) -> None:
        if isinstance(adapter, unixconn.UnixHTTPAdapter):
            adapter = _Adapter(
                adapter.socket_path, adapter.timeout, max_pool_size=adapter.max_pool_size
            )
        super().mount(prefix, adapter)

    def create(self, name: str, body: Json) -> str:
        answer = self._post_json(self._url("/containers/create"), data=body, params={"name": name})
        return str(self._result(answer, json=True)["Id"])

    def limit(self, container: str, limits: Json) -> None:
        answer = self._post_json(self._url("/containers/{0}/update", container), data=limits)
        self._result(answer, json=True)

    def output(
        self, container: str, *, follow: bool, tail: int, opened: Callable[[Closable], None]
    ) -> Iterator[tuple[str, bytes]]:
        """Yield (stream, `time text`) for each message that the engine kept."""
        params = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow)}
        params["tail"] = "all" if tail < 0 else tail  # type: ignore[assignment]
        url = self._url("/containers/{0}/logs", container)
        response = self._get(url, params=params, stream=True, timeout=None if follow else READ_S)
        self._raise_for_status(response)
        opened(docker.types.CancellableStream(iter(()), response))
        try:
            while head := response.raw.read(8):
                size = int.from_bytes(head[4:], "big")
                yield ("stderr" if head[0] == 2 else "stdout"), response.raw.read(size)
        finally:
            response.close()

    def heard(self, filters: Json, *, opened: Callable[[Closable], None]) -> Iterator[Json]:
        """Yield events as they come."""
        params = {"filters": docker.utils.convert_filters(filters)}
        response = self._get(self._url("/events"), params=params, stream=True, timeout=None)
        self._raise_for_status(response)
        opened(docker.types.CancellableStream(iter(()), response))
        try:
            yield from self._stream_helper(response, decode=True)
        finally:
            response.close()


def refused(error: docker.errors.APIError) -> str:
    """Return the engine's own words."""
    return str(error.explanation or error).strip().removesuffix(".")


def unanswered(error: Exception) -> str:
    """Return why nobody answered, in words that help."""
    text = str(error)
    if "No such file" in text or "Connection refused" in text:
        return "nobody listens at its socket"
    if "Permission denied" in text:
        return "its socket is closed to you: join the group `docker`, or run as root"
    if "timed out" in text.lower():
        return "no answer in time"
    return text[:200]
