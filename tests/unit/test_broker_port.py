"""Where a broker of our own listens."""

import socket
from pathlib import Path

from orchestrator.bus import port

HANDED_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_connection_of_somebody_can_be_given_it_while_the_broker_is_away():
    lowest = int(HANDED_OUT.read_text().split()[0]) if HANDED_OUT.exists() else 32_768
    chosen = {port.choose("127.0.0.1") for _ in range(20)}
    assert all(10_000 <= each < lowest for each in chosen)
    assert len(chosen) > 1


def test_it_is_free():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        free = port.choose("127.0.0.1")
        assert {port.choose("127.0.0.1", [taken, free]) for _ in range(20)} == {free}
        assert port.choose("127.0.0.1", [taken]) != taken
