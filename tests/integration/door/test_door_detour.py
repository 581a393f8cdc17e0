"""A declared place that is led somewhere else: by the door alone, and nothing else with it."""

import socket

import pytest

from ntp.confine import door_client

REAL = "stream.example.com"


def test_the_real_name_leads_to_the_other_address_and_is_not_looked_up(open_door, echo):
    door = open_door(
        f"{REAL}:9443", detours=[f"{REAL}:9443=127.0.0.1:{echo.port}"], names={REAL: None}
    )
    for spelled in (REAL, "Stream.Example.COM."):
        with door_client.connect(door.path, spelled, 9443, 5) as handed:
            handed.sendall(b"hello")
            assert handed.recv(16) == b"hello"
    assert door.refused() == {}


def test_nothing_else_is_led_or_let_through_by_it(open_door, echo):
    door = open_door(f"{REAL}:9443", f"{REAL}:443", detours=[f"{REAL}:9443=127.0.0.1:{echo.port}"])
    with pytest.raises(socket.gaierror):
        door_client.connect(door.path, REAL, 443, 5)
    for place in (("127.0.0.1", echo.port), ("localhost", echo.port), (REAL, echo.port)):
        with pytest.raises(ConnectionRefusedError, match=r"network\.egress"):
            door_client.connect(door.path, *place, 5)


def test_a_detour_to_a_place_that_is_not_allowed_is_no_right(open_door, echo):
    door = open_door("api.example.com:1", detours=[f"{REAL}:9443=127.0.0.1:{echo.port}"])
    with pytest.raises(ConnectionRefusedError, match=r"network\.egress"):
        door_client.connect(door.path, REAL, 9443, 5)


def test_where_nobody_listens_both_places_are_named(open_door):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        door = open_door(f"{REAL}:9443", detours=[f"{REAL}:9443=127.0.0.1:{port}"])
        words = f"{REAL}:9443, led to 127.0.0.1:{port}: Connection refused"
        with pytest.raises(ConnectionRefusedError, match=words) as refused:
            door_client.connect(door.path, REAL, 9443, 5)
    assert not isinstance(refused.value, door_client.DoorRefusedError)


def test_a_link_local_address_is_never_handed_out(open_door):
    door = open_door(f"{REAL}:80", detours=[f"{REAL}:80=169.254.169.254:80"])
    with pytest.raises(ConnectionRefusedError, match="link-local"):
        door_client.connect(door.path, REAL, 80, 5)
