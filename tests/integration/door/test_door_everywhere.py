"""Unmodified code through the door: names, TLS and refusals as without it."""

import asyncio
import importlib
import socket
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ntp.confine import door_client, door_everywhere, door_nowhere

TLS = Path(__file__).parents[2] / "fixtures" / "tls"


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def exchange() -> Iterator[int]:
    """An https server of `exchange.test`, whose certificate our own CA signed; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=TLS / "ca.pem")


@pytest.fixture
def through_door(open_door, exchange) -> Iterator[object]:
    names = {"exchange.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
    allow = [f"exchange.test:{exchange}", f"other.test:{exchange}", f"127.0.0.1:{exchange}"]
    door = open_door(*allow, private=allow, names=names)
    undo = door_everywhere.install(door_client.Door(door.path))
    yield door
    undo()


def test_urllib_reads_a_page_over_tls(through_door, exchange, trust):
    url = f"https://exchange.test:{exchange}/"
    with urllib.request.urlopen(url, context=trust, timeout=10) as page:
        assert page.read() == f"exchange.test:{exchange}".encode()


def test_the_name_is_still_checked_against_the_certificate(through_door, exchange, trust):
    with pytest.raises(urllib.error.URLError, match="certificate"):
        urllib.request.urlopen(f"https://other.test:{exchange}/", context=trust, timeout=10)


def test_urllib_meets_a_refusal_as_such(through_door, exchange, trust):
    with pytest.raises(urllib.error.URLError, match=r"network\.egress"):
        urllib.request.urlopen("https://elsewhere.test/", context=trust, timeout=10)
    assert through_door.refused() == {"elsewhere.test:443": 1}


async def test_asyncio_streams_over_tls(through_door, exchange, trust):
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("exchange.test", exchange, ssl=trust)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"here")
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("other.test", exchange, ssl=trust)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("elsewhere.test", 443, ssl=trust)


async def test_the_loop_lives_while_the_door_is_asked(open_door, tmp_path):
    """Its name server answers only when the loop says so, which it can while it waits for that."""
    may, asked = tmp_path / "may", tmp_path / "may.asked"
    door = open_door("held.test:443", names={"held.test": str(may)})
    undo = door_everywhere.install(door_client.Door(door.path))
    try:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(_meets_nobody())
            while not asked.exists():
                await asyncio.sleep(0.01)
            may.touch()
    finally:
        undo()


async def _meets_nobody() -> None:
    with pytest.raises(socket.gaierror, match="no such name"):
        await asyncio.open_connection("held.test", 443)


def test_a_written_address_goes_through_the_door_too(through_door, exchange):
    socket.create_connection(("127.0.0.1", exchange), timeout=10).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 1), timeout=10)
    assert through_door.refused() == {"127.0.0.1:1": 1}


def test_timeouts_and_blocking_stay_as_the_caller_set_them(through_door, exchange):
    with socket.create_connection(("exchange.test", exchange), timeout=7) as connection:
        assert connection.gettimeout() == 7
        assert connection.getpeername() == ("127.0.0.1", exchange)
    with socket.socket() as connection:
        assert connection.connect_ex(("127.0.0.1", 1)) != 0


def test_names_have_addresses_that_nobody_has(through_door):
    (found,) = socket.getaddrinfo(b"exchange.test", "https", type=socket.SOCK_STREAM)
    assert found[4][0].startswith("240.0.")
    assert found[4][1] == 443
    assert socket.gethostbyname("exchange.test") == found[4][0]
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("exchange.test", 443, family=socket.AF_INET6)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("exchange.test", 53, type=socket.SOCK_DGRAM)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("exchange.test", 443, flags=socket.AI_NUMERICHOST)


def test_who_asks_name_servers_by_itself_is_not_to_be_had(open_door, tmp_path, monkeypatch):
    (tmp_path / "aiodns.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("aiodns")  # by somebody before us
    undo = door_everywhere.install(door_client.Door(open_door("exchange.test:443").path))
    try:
        with pytest.raises(ImportError):
            importlib.import_module("aiodns")
    finally:
        undo()
    assert importlib.import_module("aiodns")
    del sys.modules["aiodns"]


def test_unix_sockets_and_passive_lookups_are_left_alone(through_door, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        client.connect(f"{tmp_path}/s")
    assert socket.getaddrinfo(None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)


def test_the_book_forgets_the_oldest_names():
    book = door_everywhere.Book()
    first = book.address("name-0")
    for number in range(1, 1 << 16):
        book.address(f"name-{number}")
    assert book.name(first) == "name-0"
    assert book.address("one-more") == first
    assert book.name(first) == "one-more"
    assert book.name("192.0.2.1") == "192.0.2.1"


def test_who_may_reach_nobody_is_told_so_and_counted(open_door, exchange):
    door = open_door(f"127.0.0.1:{exchange}")
    undo = door_nowhere.install(door_client.Door(door.path))
    try:
        with pytest.raises(urllib.error.URLError, match=r"exchange\.test:8080 is refused: "):
            urllib.request.urlopen("http://exchange.test:8080/", timeout=10)
        with pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.7:443 is refused: "):
            socket.create_connection(("192.0.2.7", 443), timeout=10)
        with pytest.raises(ConnectionRefusedError, match="names no host"):
            socket.gethostbyname("exchange.test")
        with pytest.raises(ConnectionRefusedError, match="names no host"):
            socket.create_connection(("127.0.0.1", exchange), timeout=10)
    finally:
        undo()
    assert door.refused() == {"exchange.test:8080": 1, "192.0.2.7:443": 1}
    assert socket.getaddrinfo("127.0.0.1", 1), "undone"
