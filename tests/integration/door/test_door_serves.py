"""What the door hands out, what it refuses and how it says so."""

import asyncio
import json
import socket
import threading
from pathlib import Path

import pytest

from ntp.confine import door_client
from ntp.confine.door import VISITS


def test_a_written_address_is_handed_out_connected(open_door, echo):
    door = open_door(f"127.0.0.1:{echo.port}")
    with door_client.connect(door.path, "127.0.0.1", echo.port, 5) as handed:
        handed.sendall(b"hello")
        assert handed.recv(16) == b"hello"
        assert handed.getblocking()
    assert door.refused() == {}


async def test_a_loop_is_handed_a_connection_without_being_blocked(open_door, echo):
    door = open_door(f"127.0.0.1:{echo.port}")
    async with asyncio.timeout(30):
        handed = await door_client.open_async(door.path, "127.0.0.1", echo.port)
        reader, writer = await asyncio.open_connection(sock=handed)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()


def test_another_port_is_refused_counted_and_named(open_door, echo):
    door = open_door("127.0.0.1:1", "api.test:443")
    for _ in range(3):
        with pytest.raises(
            ConnectionRefusedError, match=rf"127\.0\.0\.1:{echo.port}.*network\.egress"
        ):
            door_client.connect(door.path, "127.0.0.1", echo.port, 5)
    with pytest.raises(ConnectionRefusedError):
        door_client.connect(door.path, "api.test", 80, 5)
    assert door.refused() == {f"127.0.0.1:{echo.port}": 3, "api.test:80": 1}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.8",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 (nobody binds here)
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fd00:ec2::254",
        "fe80::1",
    ],
)
def test_an_allowed_name_that_leads_inside_is_refused(open_door, echo, address):
    door = open_door(f"rebound.test:{echo.port}", names={"rebound.test": [address]})
    with pytest.raises(ConnectionRefusedError, match=r"rebound\.test"):
        door_client.connect(door.path, "rebound.test", echo.port, 5)
    assert door.refused() == {f"rebound.test:{echo.port}": 1}


def test_a_metadata_address_is_refused_even_where_it_is_written(open_door):
    door = open_door("169.254.169.254:80")
    with pytest.raises(ConnectionRefusedError, match="link-local"):
        door_client.connect(door.path, "169.254.169.254", 80, 5)


def test_localhost_and_a_broker_in_the_house_may_be_inside(open_door, echo):
    port = echo.port
    door = open_door(
        f"localhost:{port}",
        f"nats.house:{port}",
        private=[f"nats.house:{port}"],
        names={"localhost": ["127.0.0.1"], "nats.house": ["127.0.0.1"]},
    )
    for host in ("localhost", "nats.house", "LOCALHOST.", "Nats.House"):
        door_client.connect(door.path, host, port, 5).close()


def test_a_dead_address_leaves_time_for_the_next(open_door, echo):
    port = echo.port
    door = open_door(
        f"two.test:{port}",
        private=[f"two.test:{port}"],
        names={"two.test": ["127.0.0.99", "127.0.0.1"]},
    )
    door_client.connect(door.path, "two.test", port, 10).close()


def test_a_connect_that_fails_says_why(open_door):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    door = open_door(f"127.0.0.1:{port}")
    with pytest.raises(ConnectionRefusedError, match=f"127.0.0.1:{port}: Connection refused"):
        door_client.connect(door.path, "127.0.0.1", port, 5)
    assert door.refused() == {}, "the server refused it, not the door"


def test_no_such_name_is_a_resolver_error(open_door):
    door = open_door("nowhere.test:443")
    with pytest.raises(socket.gaierror, match=r"nowhere\.test"):
        door_client.connect(door.path, "nowhere.test", 443, 5)


def test_a_name_server_that_hangs_delays_neither_the_broker_nor_itself_for_ever(open_door, echo):
    door = open_door(f"127.0.0.1:{echo.port}", "hangs.test:443", names={"hangs.test": None})
    errors: list[Exception] = []

    def hang() -> None:
        try:
            door_client.connect(door.path, "hangs.test", 443, 20).close()
        except OSError as error:
            errors.append(error)

    # More than there are resolver threads: those behind them meet their deadline too.
    threads = [threading.Thread(target=hang) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        door_client.connect(door.path, "127.0.0.1", echo.port, 4).close()
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [socket.gaierror] * 8


def test_those_who_ask_nothing_do_not_lock_others_out(open_door, echo):
    door = open_door(f"127.0.0.1:{echo.port}")
    idle = []
    for _ in range(VISITS + 8):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.settimeout(10)
        link.connect(door.path)
        idle.append(link)
    # All places are taken until the idle ones meet their deadline.
    door_client.connect(door.path, "127.0.0.1", echo.port, 20).close()
    for link in idle:
        link.close()


def test_a_flood_of_questions_waits_at_the_plugins_side(open_door, echo):
    door = open_door(f"127.0.0.1:{echo.port}")
    for _ in range(100):
        door_client.connect(door.path, "127.0.0.1", echo.port, 5).close()
    assert door.refused() == {}


@pytest.mark.parametrize(
    "question",
    [b"", b"x", b"x 0", b"x 65536", b"x y", b'a"b 80', b"\xff\xfe 80", b"a b 80", b"x" * 400],
)
def test_what_is_no_question_is_answered_and_harms_nobody(open_door, echo, question):
    door = open_door(f"127.0.0.1:{echo.port}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.settimeout(10)
        link.connect(door.path)
        link.send(question)
        assert link.recv(1000)[:2] in {b"", b"22"}
    door_client.connect(door.path, "127.0.0.1", echo.port, 5).close()


def test_refused_places_are_bounded(open_door):
    door = open_door("a.test:1")
    for number in range(70):
        with pytest.raises(ConnectionRefusedError):
            door_client.connect(door.path, f"host{number}.test", 443, 20)
    counts = door.refused()
    assert len(counts) == 65
    assert counts["(others)"] == 6
    assert sum(counts.values()) == 70


def test_counts_go_on_after_the_door_was_opened_again(open_door, tmp_path):
    first = open_door("a.test:1")
    with pytest.raises(ConnectionRefusedError):
        door_client.connect(first.path, "b.test", 1, 5)
    Path(tmp_path / "refused.1.json").write_text(json.dumps(first.refused()))
    second = open_door("a.test:1")
    with pytest.raises(ConnectionRefusedError):
        door_client.connect(second.path, "b.test", 1, 5)
    assert second.refused() == {"b.test:1": 2}


async def test_a_long_path_is_reached(open_door, echo, tmp_path):
    door = open_door(f"127.0.0.1:{echo.port}", folder=tmp_path / ("x" * 100) / ("y" * 60))
    assert len(door.path) > 160
    door_client.connect(door.path, "127.0.0.1", echo.port, 5).close()
    (await door_client.open_async(door.path, "127.0.0.1", echo.port)).close()


def test_a_door_that_is_gone_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        door_client.connect(f"{tmp_path}/door.sock", "127.0.0.1", 1, 5)
