"""An exchange over TLS that answers every client alike: a page for whoever asks, a message on /ws."""

import asyncio
import http
import ssl
import threading
from contextlib import contextmanager

from websockets.asyncio.server import serve

TIME = '{"serverTime": 1700000000000}'


@contextmanager
def tls_exchange(certificate, key):
    """Serve on loopback with these files; yield the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    opened, port, ended = threading.Event(), [], []

    async def greet(link):
        await link.send(TIME)

    def page(link, request):
        return None if request.path == "/ws" else link.respond(http.HTTPStatus.OK, TIME)

    async def run():
        over = asyncio.Event()
        async with serve(greet, "127.0.0.1", 0, ssl=context, process_request=page) as server:
            port.append(next(iter(server.sockets)).getsockname()[1])
            loop = asyncio.get_running_loop()
            ended.append(lambda: loop.call_soon_threadsafe(over.set))
            opened.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert opened.wait(20)
    try:
        yield port[0]
    finally:
        ended[0]()
        thread.join()
