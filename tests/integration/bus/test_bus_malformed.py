"""Bytes that no client of ours would send, with a real credential: they deafen nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from ntp.contract.beat import Beat, Stage
from ntp.contract.names import Kind
from orchestrator.bus.connection import listen
from tests.integration.bus.conftest import DEADLINE

HEADERS = [
    pytest.param(b"NATS/1.0\r\n", id="no-end"),
    pytest.param(b"NATS/1.0 \xff\xff\xff\r\n\r\n", id="status-of-no-text"),
    pytest.param(b"NATS/1.0 200 \xff\r\n\r\n", id="description-of-no-text"),
    pytest.param(b"NATS/1.0\r\n\xff: \xff\r\n\r\n", id="name-of-no-text"),
    pytest.param(b"x" * 30, id="none-at-all"),
]


@asynccontextmanager
async def raw(world, name: str) -> AsyncIterator[Client]:
    file = world.folder / f"{name}.creds"
    file.write_bytes(world.broker.credentials(name))
    client = Client()

    async def nothing(_: Exception) -> None: ...

    try:
        await client.connect(
            f"nats://{world.broker.address()}", user_credentials=str(file), error_cb=nothing
        )
        yield client
    finally:
        await client.close()


async def say(client: Client, command: bytes) -> None:
    await client._send_command(command)
    await client._flush_pending()
    await client.flush()


def with_header(subject: str, header: bytes, body: bytes = b"{}") -> bytes:
    size = len(header)
    return f"HPUB {subject} {size} {size + len(body)}\r\n".encode() + header + body + b"\r\n"


SUBJECTS = [b"\xff\xfe", b"BTC\xc3", b"BTC\x0b7", b"BTC\x0bx", b"BTC\x0c", b"\x0b"]


def malformed(channel: str) -> list[Any]:
    """Return commands with a header, or a subject, that no client would send."""
    return [
        *(
            pytest.param(with_header(f"{channel}.X", each.values[0]), id=each.id)
            for each in HEADERS
        ),
        *(f"PUB {channel}.".encode() + token + b" 2\r\n{}\r\n" for token in SUBJECTS),
    ]


@pytest.mark.parametrize("command", malformed("data"))
async def test_a_listener_hears_on_after_malformed_data(world, command):
    heard: list[bytes] = []
    async with raw(world, "alpha") as mallory, world.link("beta") as beta:
        await beta.subscribe("in.alpha.data.>", lambda _, payload: heard.append(payload))
        await beta.flush()
        await say(mallory, command)
        await say(mallory, b"PUB data.BTCUSDT 4\r\nlast\r\n")
        await world.until(lambda: b"last" in heard)
        assert beta.stats.reconnects == 0


@pytest.mark.parametrize("command", malformed("sig"))
async def test_an_executor_pulls_on_after_a_malformed_signal(world, command):
    async with raw(world, "beta") as mallory, world.link("gamma") as gamma:
        assert await gamma.pull("beta", expires=0.1) == []
        await say(mallory, command)
        await say(mallory, b"PUB sig.BTCUSDT 4\r\nlast\r\n")
        found: list[bytes] = []
        async with asyncio.timeout(DEADLINE):
            while b"last" not in found:
                for message in await gamma.pull("beta", expires=0.5):
                    found.append(message.payload)
                    await gamma.ack(message)
        assert gamma.stats.reconnects == 0


@pytest.mark.parametrize("header", HEADERS)
async def test_the_controller_hears_beats_on_after_a_malformed_header(world, header):
    now = datetime.now(UTC)
    beat = Beat("beta", "strategy", "1", 1, 1, now, now, Stage.READY)
    async with (
        listen(world.broker.address, world.broker.core_credentials) as bus,
        raw(world, "alpha") as mallory,
        world.link("beta") as beta,
    ):
        await world.until(lambda: bus.listening_since)
        since = bus.listening_since
        await say(mallory, with_header("beat", header))
        await beta.publish("beat", msgspec.json.encode(beat))
        await world.until(lambda: "beta" in bus.beats())
        assert bus.listening_since == since


async def test_a_subject_cannot_choose_the_subscription_that_it_arrives_at(world):
    """Delta, a source, sends what looks like a signal of beta to where gamma pulls those."""
    world.add("delta", Kind.DATA_SOURCE)
    world.wire("delta", "data", "gamma")
    await world.ensure()
    heard: list[str] = []
    async with (
        raw(world, "delta") as mallory,
        world.link("gamma") as gamma,
        world.link("beta") as beta,
        asyncio.TaskGroup() as tasks,
    ):
        await gamma.subscribe("in.delta.data.>", lambda subject, _: heard.append(subject))
        await gamma.flush()
        pulling = tasks.create_task(gamma.pull("beta", expires=DEADLINE))
        for number in range(1, 9):
            await say(mallory, b"PUB data.x\x0b%d 6\r\nforged\r\n" % number)
        await world.until(lambda: len(heard) == 8)
        await beta.submit("sig.X", b"true", "1")
        assert [each.payload for each in await pulling] == [b"true"]
        assert gamma.stats.reconnects == 0
