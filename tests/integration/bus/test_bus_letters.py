"""Dead letters at a real nats-server: read as their receiver's, sent once more to him alone, dropped."""

import asyncio
import json
from datetime import UTC, datetime

import msgspec
import pytest

from ntp.contract.letters import HEADER, Letter, Why
from ntp.contract.names import Kind
from orchestrator.bus.shapes import consumer
from orchestrator.errors import UnreachableError
from orchestrator.spec.model import Consumer
from tests.integration.bus.conftest import ensured

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def letter(**change):
    fields = {
        "receiver": "gamma", "sender": "beta", "stream": "SIG_beta", "seq": 7, "stored": NOON,
        "reason": Why.UNREADABLE, "message": "no JSON", "tries": 1, "at": NOON, "id": "s7",
        "symbol": "BTC/USDT",
    }  # fmt: skip
    return Letter(**fields | change)


async def bury(link, payload, place, told=None, sender="beta"):
    header = told if isinstance(told, str) else json.dumps(msgspec.to_builtins(told or letter()))
    subject = f"dlq.letter.{sender}.{place}"
    return await (await link.bury(subject, payload, f"SIG_{sender}:{place}", {HEADER: header}))


async def test_what_a_receiver_buried_is_listed_in_order_and_can_be_dropped(world):
    letters = world.broker.letters
    assert await letters.counts() == {}
    async with world.link("gamma") as gamma:
        for place in ("7-1", "8-1", "9-1"):
            await bury(gamma, place.encode(), place, letter(seq=int(place[0])))
        await (await gamma.bury("dlq.try.beta.1", b"", "try", {}))
        again = await bury(gamma, b"7-1", "7-1")
    assert again.duplicate
    assert await letters.counts() == {"gamma": 3}
    found = await letters.all("gamma")
    assert [(each.id, each.place, each.payload) for each in found] == [
        ("gamma/1", 7, b"7-1"),
        ("gamma/2", 8, b"8-1"),
        ("gamma/3", 9, b"9-1"),
    ]
    first = found[0]
    assert (first.receiver, first.sender, first.symbol) == ("gamma", "beta", "BTC/USDT")
    assert (first.reason, first.signal, first.sent) == ("Unreadable", "s7", NOON)
    assert await letters.drop("gamma", 2)
    assert not await letters.drop("gamma", 2)
    assert await letters.one("gamma", 2) is None
    assert [each.number for each in await letters.all("gamma")] == [1, 3]
    assert await letters.count("gamma") == 2
    assert await letters.all("nobody") == []


@pytest.mark.parametrize(
    "header",
    [
        "",
        "no JSON",
        "{}",
        json.dumps(msgspec.to_builtins(letter()) | {"reason": "\x1b[2J"}),
        json.dumps(msgspec.to_builtins(letter()) | {"tries": 10**400}),
        "[" * 4000,
    ],
)
async def test_a_letter_that_says_nothing_readable_of_itself_is_listed_all_the_same(world, header):
    async with world.link("gamma") as gamma:
        await bury(gamma, b"x", "1-1", header)
    (found,) = await world.broker.letters.all("gamma")
    assert (found.sender, found.reason, found.payload) == ("beta", "", b"x")
    assert found.message == "its receiver says nothing of it that can be read"


async def test_who_sent_and_who_received_it_is_not_for_the_letter_to_say(world):
    told = letter(sender="alpha", receiver="beta", message="a\x1b[2J\nb", symbol="\x9b2J")
    async with world.link("gamma") as gamma:
        await bury(gamma, b"x", "1-1", told)
    (found,) = await world.broker.letters.all("gamma")
    assert (found.receiver, found.sender) == ("gamma", "beta")
    assert (found.message, found.symbol) == ("a[2J b", "2J")


async def test_it_is_sent_to_its_receiver_alone_and_once_however_often_it_is_asked_for(world):
    world.add("delta", Kind.EXECUTOR)
    world.wire("beta", "signal", "delta")
    await world.ensure()
    letters = world.broker.letters
    async with world.link("gamma") as gamma, world.link("delta") as delta, world.link("beta") as b:
        await bury(gamma, b"buy", "7-1")
        (found,) = await letters.all("gamma")
        await letters.send_again(found)
        await letters.send_again(found)
        await b.request_ack("sig.X", b"next", "next")
        heard = []
        while len(heard) < 2:
            heard += await gamma.pull("beta")
        assert [(each.subject, each.payload) for each in heard] == [
            ("again.beta.gamma.BTC=2FUSDT", b"buy"),
            ("sig.beta.X", b"next"),
        ]
        (only,) = await delta.pull("beta")
        assert only.payload == b"next"


async def test_a_fill_is_sent_to_its_strategy_once_more(world):
    async with world.link("beta") as beta:
        told = letter(receiver="beta", sender="gamma", stream="FILL_gamma")
        await bury(beta, b"fill", "1-1", told, sender="gamma")
        (found,) = await world.broker.letters.all("beta")
        await world.broker.letters.send_again(found)
        (heard,) = await beta.pull("gamma")
        assert (heard.subject, heard.payload) == ("again.gamma.beta.BTC=2FUSDT", b"fill")


async def test_letters_outlive_the_broker_and_without_it_there_is_no_answer(world):
    async with world.link("gamma") as gamma:
        await bury(gamma, b"x", "1-1")
    world.server.kill()
    with pytest.raises(UnreachableError):
        await world.broker.letters.counts()
    world.start()
    async with asyncio.timeout(20):
        while True:
            try:
                assert await world.broker.letters.counts() == {"gamma": 1}
                break
            except UnreachableError:
                await asyncio.sleep(0.05)


async def test_streams_of_an_older_release_are_changed_where_they_are_and_lose_nothing(world):
    old = {
        "name": "SIG_beta",
        "subjects": ["sig.beta.>"],
        "retention": "interest",
        "discard": "new",
        "storage": "file",
        "max_bytes": 32 * 1024 * 1024,
        "num_replicas": 1,
    }
    durable = consumer(Consumer("SIG_beta", "gamma"))
    del durable["filter_subjects"]
    async with world.core() as core:
        await core.ask("$JS.API.STREAM.DELETE.SIG_beta")
        assert "error" not in await core.ask("$JS.API.STREAM.CREATE.SIG_beta", old)
        body = {"stream_name": "SIG_beta", "config": durable}
        answer = await core.ask("$JS.API.CONSUMER.CREATE.SIG_beta.gamma", body)
        assert "error" not in answer, answer
        for number in range(3):
            await core.request("sig.beta.X", str(number).encode())
    async with world.link("gamma") as gamma:
        (first,) = await gamma.pull("beta", batch=1)
        await gamma.ack(first)
        await gamma.flush()
    # As a controller that begins: it compares all there is.
    async with world.another_broker() as broker:
        await ensured(broker, world.rights())
    async with world.link("gamma") as gamma:
        await bury(gamma, b"dead", "7-1")
        (found,) = await world.broker.letters.all("gamma")
        await world.broker.letters.send_again(found)
        heard = []
        while len(heard) < 3:
            heard += await gamma.pull("beta")
        assert [each.payload for each in heard] == [b"1", b"2", b"dead"]
