"""A way to the API server that notes what is asked: TLS ends here and begins again, every byte passes."""

import asyncio
import contextlib
import ssl
import threading
from urllib.parse import parse_qs, urlsplit

from tests.worlds.cluster import STATE

ADDRESS, PORT = "10.88.0.1", 6443
"""Where the API server of ../shared/k8s listens, and its certificate is for."""
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


def verb_of(method, target):
    """Return (group, resource, verb) of a request, as a Role has them; None: it is of no resource."""
    parts = urlsplit(target)
    steps = parts.path.strip("/").split("/")
    if steps[0] == "api" and len(steps) > 3:
        group, rest = "", steps[2:]
    elif steps[0] == "apis" and len(steps) > 4:
        group, rest = steps[1], steps[3:]
    else:
        return None
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    resource, name, sub = (*rest, "", "")[:3]
    if method == "GET":
        watches = parse_qs(parts.query).get("watch", [""])[0] in ("1", "true", "True")
        verb = "watch" if watches else "get" if name else "list"
    elif method == "DELETE":
        verb = "delete" if name else "deletecollection"
    else:
        verb = VERBS[method]
    return group, f"{resource}/{sub}" if sub else resource, verb


@contextlib.contextmanager
def counting():
    """Yield the port, and the set of what was asked so far."""
    used = set()
    loop = asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()
    found = []

    async def serve():
        pki = STATE / "pki"
        ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ours.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
        theirs = ssl.create_default_context(cafile=str(pki / "ca.crt"))

        async def connected(reader, writer):
            with contextlib.suppress(OSError, EOFError, ssl.SSLError):
                up_reader, up_writer = await asyncio.open_connection(ADDRESS, PORT, ssl=theirs)
                try:
                    async with asyncio.TaskGroup() as both:
                        back = both.create_task(_copy(up_reader, writer))
                        await _requests(reader, up_writer, used)
                        back.cancel()
                except* (OSError, EOFError, ssl.SSLError):
                    pass
                finally:
                    up_writer.transport.abort()
                    writer.transport.abort()

        server = await asyncio.start_server(connected, ADDRESS, 0, ssl=ours)
        found.append(server.sockets[0].getsockname()[1])
        ready.set()
        await end.wait()
        server.close()

    def run():
        loop.run_until_complete(serve())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left)) if left else None
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield found[0], used
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(30)


async def _copy(reader, writer):
    with contextlib.suppress(OSError, asyncio.CancelledError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()


async def _requests(reader, writer, used):
    """Until the client is gone, which raises."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        if asked := verb_of(method, target):
            used.add(asked)
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        length = int(fields.get("content-length", 0))
        writer.write(head + await reader.readexactly(length))
        await writer.drain()
        if "upgrade" in fields:
            # What comes now is no request: a port of a pod.
            await _copy(reader, writer)
            raise EOFError
