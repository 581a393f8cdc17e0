"""The Docker Engine: one client a worker thread, a deadline for each call, and only our own errors.

docker-py is known to this package alone, and stands in no signature outside of this file.
"""

import asyncio
import contextvars
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import docker
import docker.errors
import requests
import urllib3

from orchestrator.errors import ActionError, ConflictError, UnreachableError
from orchestrator.runtime.docker import presence
from orchestrator.runtime.docker.client import Client, Closable, Json, refused, unanswered
from orchestrator.runtime.docker.tempo import Tempo

AT_ONCE = 4
"""Starts are bound by the processor: more at once gain nothing (measured with 50)."""
WAITING = 64
"""Plugins that are given a grace at the same time."""
OLDEST_API = "1.41"
"""Engine 20.10: `PidsLimit` can be updated, a cgroup namespace can be private."""

_BROKEN = (
    requests.exceptions.RequestException,
    docker.errors.DockerException,
    urllib3.exceptions.HTTPError,  # while a stream is read, docker-py lets these through
)
_thread = threading.local()
"""`clients`: of the pool that the thread is of, those of the time when that was opened."""
_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)
T = TypeVar("T")


class AbsentError(ActionError):
    """The engine knows no such container, image or network."""


class _StaleError(UnreachableError):
    """The other end of a connection that we had kept is gone."""


class Engine:
    """One engine, asked from threads. `base_url` None: as DOCKER_HOST and the context say."""

    def __init__(self, base_url: str | None = None, tempo: Tempo | None = None) -> None:
        self._base_url = base_url
        self.url = base_url or presence.place(os.environ)
        self._tempo = tempo or Tempo()
        self._api: str | None = None
        self._v2: bool | None = None
        self._open()

    def _open(self) -> None:
        self._local = threading.local()
        self._clients: list[Client] = []
        pool = partial(ThreadPoolExecutor, initializer=_begin, initargs=(self._clients,))
        self._pool = pool(AT_ONCE, thread_name_prefix="docker")
        self._waiting = pool(WAITING, thread_name_prefix="docker-wait")
        self._looking = pool(1, thread_name_prefix="docker-look")

    def close(self) -> None:
        """Hang up; whoever asks later is connected anew, but for work that is under way."""
        before, clients = (self._pool, self._waiting, self._looking), self._clients
        self._open()
        for pool in before:
            pool.shutdown(wait=False, cancel_futures=True)
        for client in clients:
            client.close()

    async def run(self, work: Callable[[], T], *, deadline_s: float | None = None) -> T:
        """Run `work`, which asks this engine, in a thread; each of its calls has that deadline, else the usual."""
        return await self._in(self._pool, work, deadline_s)

    async def look(self, work: Callable[[], T]) -> T:
        """As `run`, for a listing: many starts that wait for their turn do not make us blind."""
        return await self._in(self._looking, work, None)

    async def wait(self, work: Callable[[], T]) -> T:
        """As `run`, for what waits for a plugin: it holds up no other work."""
        return await self._in(self._waiting, work, None)

    def later(self, work: Callable[[], T]) -> Future[T]:
        """Begin `work` without waiting for it, with the deadline of who asks; the rest is up to him."""
        return self._waiting.submit(contextvars.copy_context().run, work)

    async def _in(
        self, pool: ThreadPoolExecutor, work: Callable[[], T], deadline_s: float | None
    ) -> T:
        context = contextvars.copy_context()
        context.run(_deadline.set, deadline_s)
        return await asyncio.get_running_loop().run_in_executor(pool, context.run, work)

    # What follows blocks, and is called in threads only.

    def has_v2(self) -> bool:
        """Whether its control groups are of version 2; asked once: the question costs it as much as a start."""
        if self._v2 is None:
            self._v2 = self.info().get("CgroupVersion") == "2"
        return self._v2

    def info(self) -> Json:
        found: Json = self._read("its facts", lambda client: client.info())
        return found

    def containers(self, labels: Sequence[str]) -> Sequence[Json]:
        """One listing, those that ended included."""
        filters = {"label": list(labels)}
        found: Sequence[Json] = self._read(
            "the list of containers", lambda client: client.containers(all=True, filters=filters)
        )
        return found

    def inspect(self, container: str) -> Json:
        found: Json = self._read(
            f"container {container}", lambda client: client.inspect_container(container)
        )
        return found

    def image(self, reference: str) -> Json:
        found: Json = self._read(
            f"image {reference}", lambda client: client.inspect_image(reference)
        )
        return found

    def _read(self, what: str, ask: Callable[[Client], T]) -> T:
        """Ask what changes nothing; once more where the connection was an older engine's."""
        try:
            with self._asked(what) as client:
                return ask(client)
        except _StaleError:
            with self._asked(what) as client:
                return ask(client)

    def ask(self, what: str, question: Callable[[Client], T]) -> T:
        """Ask for something that has no call of its own here."""
        with self._asked(what) as client:
            return question(client)

    def pid(self) -> int | None:
        """Who listens at its socket on this machine; None: nobody here does."""
        return presence.listener(self.url)

    def create(self, name: str, body: Json) -> str:
        """ConflictError: the name is taken."""
        with self._asked(f"creation of {name}") as client:
            return client.create(name, body)

    def start(self, container: str) -> None:
        with self._asked(f"start of {container[:12]}") as client:
            client.start(container)

    def kill(self, container: str, signal: int) -> None:
        """Success if it does not run."""
        with self._asked(f"signal to {container[:12]}") as client:
            try:
                client.kill(container, signal)
            except docker.errors.APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise

    def unpause(self, container: str) -> None:
        with self._asked(f"unpausing {container[:12]}") as client:
            client.unpause(container)

    def ended(self, container: str, *, within_s: float) -> bool:
        """Wait until it does not run; False: not within that time. Absent has ended.

        A listing may not have it yet; who inspects is kept until it has ended there too.
        """
        with self._asked(f"end of {container[:12]}") as client:
            try:
                client.wait(container, timeout=max(within_s, 0.05), condition="not-running")
            except docker.errors.NotFound:
                return True
            except requests.exceptions.RequestException as error:
                # docker-py lets a timeout through in two forms, by the moment it comes.
                if "timed out" in str(error).lower():
                    return False
                raise
            return True

    def remove(self, container: str, *, running: bool = True) -> bool:
        """With its anonymous volumes. Absent is success. False: somebody else is removing it just now.

        `running` False: nor is one that runs removed.
        """
        with self._asked(f"removal of {container[:12]}") as client:
            try:
                client.remove_container(container, v=True, force=running)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise
                return False
            return True

    def limit(self, container: str, limits: Json) -> None:
        with self._asked(f"limits of {container[:12]}") as client:
            client.limit(container, limits)

    def import_root(self, tar: bytes, repository: str, tag: str) -> None:
        """Make an image of one layer; its only configuration is what a container sets."""
        with self._asked(f"import of {repository}:{tag}") as client:
            client.import_image_from_data(tar, repository=repository, tag=tag)

    def load(self, archive: Path) -> None:
        """Take every image of an archive (`docker load`)."""
        with self._asked(f"image in {archive}") as client, archive.open("rb") as file:
            client.timeout = self._tempo.load
            for said in client.load_image(file):
                if "error" in said:
                    raise ActionError(
                        f"the engine refused {archive}: {said['error']}", reason="ImageRefused"
                    )

    def output(
        self,
        container: str,
        *,
        follow: bool,
        tail: int,
        opened: Callable[[Closable], None] = lambda _: None,
    ) -> Iterator[tuple[str, bytes]]:
        """Yield (stream, `time text`) for each message; `opened` is given what ends the following."""
        with self._asked(f"output of {container[:12]}") as client:
            yield from client.output(container, follow=follow, tail=tail, opened=opened)

    def events(self, label: str, opened: Callable[[Closable], None]) -> Iterator[str]:
        """Yield who may have changed at each event of a container with that label; empty: a new one came.

        `opened` is given what ends it.
        """
        with self._asked("its events") as client:
            filters = {"type": "container", "label": label}
            for event in client.heard(filters, opened=opened):
                # A signal changes nothing by itself: what comes of it is told by an event of its own.
                if event.get("Action") != "kill":
                    yield "" if event.get("Action") == "create" else str(event.get("id", ""))

    @contextmanager
    def _asked(self, what: str) -> Iterator[Client]:
        try:
            yield self._client()
        except docker.errors.NotFound as error:
            raise AbsentError(refused(error), reason="EngineRefused") from error
        except docker.errors.APIError as error:
            if error.status_code == requests.codes.conflict:
                raise ConflictError(refused(error)) from error
            raise ActionError(
                f"the engine refused the {what}: {refused(error)}", reason="EngineRefused"
            ) from error
        except _BROKEN as error:
            kind = _StaleError if "aborted" in str(error) else UnreachableError
            raise kind(
                f"the Docker Engine did not answer the question for {what}: {unanswered(error)}"
            ) from error
        except (OSError, json.JSONDecodeError) as error:
            raise UnreachableError(f"the Docker Engine broke off: {error}") from error

    def _client(self) -> Client:
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            given = {} if self._base_url is None else {"base_url": self._base_url}
            if not given:
                given = docker.utils.kwargs_from_env()
            client = Client(version=self._api or "auto", timeout=self._tempo.call, **given)
            self._api = client.api_version
            clients = getattr(_thread, "clients", self._clients)
            clients.append(client)
            if clients is not self._clients:  # nobody would close it
                client.close()
                raise UnreachableError("the connection to the Docker Engine was closed meanwhile")
            self._local.client = client
        client.timeout = _deadline.get() or self._tempo.call
        return client


def _begin(clients: list[Client]) -> None:
    _thread.clients = clients
