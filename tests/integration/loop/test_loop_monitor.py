"""`/metrics` and `/healthz` of a controller that runs, over a real socket."""

import asyncio
import errno
import json
import socket
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from orchestrator.errors import UnreachableError
from orchestrator.monitor.server import MOST_CONNECTIONS, Monitor, monitoring
from tests.worlds.house import NAMES
from tests.worlds.memory import eventually

WITHIN_S = 30.0
PASSES = "ntp_controller_pass_duration_seconds"


@pytest.fixture
def port():

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def no_figures():
    raise AssertionError("asked for no figures")


async def say(port, request):
    async with asyncio.timeout(WITHIN_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


async def get(port, path):
    return await say(port, f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())


async def test_metrics_and_health_of_what_runs(house, port):
    async with house.controlled() as controller:
        await house.apply()
        async with monitoring(
            Monitor(controller.status, controller.figures, version="1"), ("127.0.0.1", port)
        ):
            code, text = await get(port, "/metrics")
            families = {each.name: each for each in text_string_to_metric_families(text)}
            ready = {
                each.labels["plugin"]: each.value for each in families["ntp_plugin_ready"].samples
            }
            assert (code, ready) == (200, dict.fromkeys(NAMES, 1.0))
            passes = {each.name: each.value for each in families[PASSES].samples}
            assert passes[f"{PASSES}_count"] > 1
            assert 0 < passes[f"{PASSES}_sum"] < 60
            code, text = await get(port, "/healthz")
            assert (code, json.loads(text)) == (200, {"healthy": True, "reason": ""})
            house.machine.away = True
            code, text = await get(port, "/healthz")
            told = json.loads(text)
            assert (code, told["healthy"]) == (503, False)
            assert "the runtime does not answer" in told["reason"]


async def test_a_loop_that_makes_no_pass_is_not_healthy(port):
    async def never(_name):
        await asyncio.Event().wait()

    monitor = Monitor(never, no_figures, version="1", answer_s=0.05)
    async with monitoring(monitor, ("127.0.0.1", port)):
        for path in ("/healthz", "/metrics"):
            code, text = await get(port, path)
            assert code == 503
            assert "no pass was done" in text


async def nobody(_name):
    raise UnreachableError("asked for no status")


async def test_why_there_is_no_status_is_said_in_words(port):
    async with monitoring(Monitor(nobody, no_figures, version="1"), ("127.0.0.1", port)):
        code, text = await get(port, "/healthz")
        assert (code, json.loads(text)) == (
            503,
            {"healthy": False, "reason": "asked for no status"},
        )
        assert await get(port, "/metrics?all=1") == (503, "asked for no status\n")


async def test_a_plain_client_reads_the_whole_answer_and_its_kind(house, port):
    def read(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=WITHIN_S) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    async with house.controlled() as controller:
        monitor = Monitor(controller.status, controller.figures, version="1")
        async with monitoring(monitor, ("127.0.0.1", port)):
            kind, text = await asyncio.to_thread(read, "/metrics?name=x")
            assert kind == "text/plain; version=0.0.4; charset=utf-8"
            assert text.endswith("\n")
            kind, text = await asyncio.to_thread(read, "/healthz")
            assert (kind, json.loads(text)["healthy"]) == ("application/json", True)
    assert await asyncio.to_thread(refused, port), "it ends with its block"


def refused(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


async def test_so_many_at_once_and_no_more(port):
    monitor = Monitor(nobody, no_figures, version="1")
    async with monitoring(monitor, ("127.0.0.1", port)):
        for _ in range(MOST_CONNECTIONS + 1):
            assert (await get(port, "/healthz"))[1] != "too many connections\n"
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS)]
        try:
            await eventually(lambda: monitor._open == MOST_CONNECTIONS)
            assert await get(port, "/healthz") == (503, "too many connections\n")
        finally:
            for _, writer in idle:
                writer.close()
                await writer.wait_closed()
        await eventually(lambda: monitor._open == 0)
        assert (await get(port, "/healthz"))[1] != "too many connections\n"


async def test_who_asks_nothing_is_not_listened_to_for_ever(port):
    monitor = Monitor(nobody, no_figures, version="1", request_s=0.05)
    async with (
        monitoring(monitor, ("127.0.0.1", port)),
        asyncio.timeout(WITHIN_S),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET /else HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"\x00\xff\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
    ],
)
async def test_what_is_no_question_has_its_status(port, request_, code):
    monitor = Monitor(nobody, no_figures, version="1")
    async with monitoring(monitor, ("127.0.0.1", port)):
        assert (await say(port, request_))[0] == code


async def test_a_port_that_is_taken_is_said_in_words_and_ends_nobody(house, port):
    async with house.controlled() as controller:
        monitor = Monitor(controller.status, controller.figures, version="1")
        with capture_logs() as said:
            async with (
                monitoring(monitor, ("127.0.0.1", port)),
                monitoring(monitor, ("127.0.0.1", port)),
            ):
                assert (await controller.status(None)).project
    assert [(each["event"], each["address"]) for each in said if "metrics" in each["event"]] == [
        ("metrics.not_served", f"127.0.0.1:{port}")
    ]


async def test_restarts_and_kills_are_counted_on_by_the_next_controller(house, port):
    address = ("127.0.0.1", port)

    async def counted(controller):
        monitor = Monitor(controller.status, controller.figures, version="1")
        async with monitoring(monitor, address):
            text = (await get(port, "/metrics"))[1]
        return {
            (each.name, each.labels.get("cause", "")): each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
            if each.labels.get("plugin") == "momentum" and family.type == "counter"
        }

    async with house.controlled() as controller:
        await house.apply()
        house.machine.end("momentum", signal=9, oom=True)
        await house.until("momentum", lambda status: status.ready and status.restarts == 1)
        house.machine.end("momentum", signal=9)
        await house.until("momentum", lambda status: status.ready and status.restarts == 2)
        before = await counted(controller)
    async with house.controlled() as controller:
        after = await counted(controller)
    for found in (before, after):
        assert found["ntp_plugin_restarts_total", ""] == 2
        assert found["ntp_plugin_kills_total", "memory"] == 1
        assert found["ntp_plugin_kills_total", "signal"] == 1
