"""`ntp exchange` as a person runs it."""

import asyncio
import json
import signal
import subprocess
import sys

import pytest
from websockets.sync.client import connect


def run(*options):
    return subprocess.run(
        [sys.executable, "-m", "ntp.cli", "exchange", *options],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_first_line_is_its_urls_and_the_second_says_synthetic(start):
    running = start()
    assert set(running.urls) == {"binance", "binance-combined", "binance-rest", "polygon", "control", "play"}  # fmt: skip
    assert running.urls["binance"].startswith("ws://127.0.0.1:")
    assert "Polygon frames are synthetic" in running.words
    with connect(running.urls["polygon"]) as socket:
        assert "synthetic" in socket.recv()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_cleanly_with_clients_connected(start, number, code):
    running = start("--loop", "--speed", "20")
    with (
        connect(running.urls["binance"] + "/btcusdt@trade") as socket,
        connect(running.urls["polygon"]),
    ):
        socket.recv()
        running.process.send_signal(number)
        _, errors = running.process.communicate(timeout=30)
    assert (running.process.returncode, errors) == (code, b"")


def test_faults_of_the_command_line_stand_and_are_changed_at_run_time(start):
    running = start("--fault", "close=1006@5s", "--fault", "stall")
    assert running.fault(method="GET") == ["close=1006@5s", "stall@0s"]
    assert running.fault("duplicate=0.1") == ["close=1006@5s", "stall@0s", "duplicate=0.1"]
    assert running.fault(method="DELETE") == []


def test_the_users_own_way_to_subscribe(start):
    running = start()
    with connect(running.urls["binance"]) as socket:
        params = ["btcusdt@trade", "ethusdt@trade"]
        socket.send(json.dumps({"method": "SUBSCRIBE", "params": params, "id": 1}))
        assert json.loads(socket.recv()) == {"result": None, "id": 1}
        symbols = set()
        while len(symbols) < 2:
            symbols.add(json.loads(socket.recv())["s"])


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--fault", "clos"], 2, "did you mean 'close'?"),
        (["--speed", "0"], 2, "--speed"),
        (["--loop", "--seconds", "3"], 2, "give one of them"),
        (["--recording", "/nonexistent/frames"], 2, "write the name of a recording"),
        (["--tls-cert", __file__], 2, "go together"),
        (["--tls-cert", __file__, "--tls-key", __file__], 2, "--tls-cert"),
        (["--host", "256.0.0.1"], 5, "choose another with --"),
    ],
)
def test_what_cannot_be_served_is_told_without_a_traceback(options, code, words):
    done = run("--port", "0", *options)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_port_that_is_taken_is_told():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        done = await asyncio.to_thread(run, "--port", str(port))
    assert done.returncode == 5
    why = "address already in use; choose another with --port"
    assert done.stderr == f"error: 127.0.0.1:{port}: {why}\n"


def test_every_fault_is_listed():
    done = run("--list-faults")
    assert done.returncode == 0
    assert "server-shutdown=SECONDS" in done.stdout
    assert len(done.stdout.splitlines()) == 17


def test_other_machines_are_warned_of(start):
    running = start("--host", "0.0.0.0")  # noqa: S104 - what is tested
    running.process.terminate()
    _, errors = running.process.communicate(timeout=30)
    assert b"warning: 0.0.0.0 may be reached by other machines" in errors
