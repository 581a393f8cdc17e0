"""Somebody who listens to one plugin on a real nats-server: what it says, and nothing else."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from ntp.contract.names import Kind
from orchestrator.bus.broker import NatsBroker
from orchestrator.bus.client import dial
from orchestrator.bus.tap import hear
from orchestrator.errors import UnreachableError
from orchestrator.spec.rights import tap

HOUR = timedelta(hours=1)


@asynccontextmanager
async def tapping(world, name, heard, *, subjects=None, lifetime=HOUR):
    """Listen to `name` while the block lasts; yields a function that says how the listening ended."""
    rights = tap(name, world.plugins[name].kind)
    began = asyncio.Event()
    async with world.broker.tapped(rights, lifetime) as credentials, asyncio.TaskGroup() as tasks:

        async def listen():
            try:
                await hear(
                    world.broker.address(), credentials, subjects or rights.subscribe,
                    lambda subject, payload: heard.append((name, subject, payload)),
                    began=began.set,
                )  # fmt: skip
            except UnreachableError as error:
                return str(error)

        listening = tasks.create_task(listen())
        async with asyncio.timeout(30):
            await began.wait()
        try:
            yield listening
        finally:
            listening.cancel()


async def test_each_kind_is_heard_with_its_own_words_and_nobody_else(world):
    world.add("rsi", Kind.INDICATOR)
    world.wire("alpha", "data", "rsi")
    await world.ensure()
    heard: list[tuple[str, str, bytes]] = []
    async with (
        world.link("alpha") as alpha, world.link("rsi") as rsi, world.link("beta") as beta,
        world.link("gamma") as gamma,
        tapping(world, "alpha", heard), tapping(world, "rsi", heard),
        tapping(world, "beta", heard), tapping(world, "gamma", heard),
    ):  # fmt: skip
        await alpha.publish("data.BTCUSDT", b"tick")
        await rsi.publish("ind.BTCUSDT", b"value")
        await beta.request_ack("sig.BTCUSDT", b"buy", "s1")
        await gamma.request_ack("fill.beta.BTCUSDT", b"bought", "f1")
        await beta.publish("beat", b"alive")
        await world.until(lambda: len(heard) == 5)

        (signal,) = await gamma.pull("beta")
        (fill,) = await beta.pull("gamma")

    assert (signal.payload, fill.payload) == (b"buy", b"bought"), "who is wired hears as before"
    assert sorted(heard) == [
        ("alpha", "data.BTCUSDT", b"tick"),
        ("beta", "beat", b"alive"),
        ("beta", "sig.BTCUSDT", b"buy"),
        ("gamma", "fill.beta.BTCUSDT", b"bought"),
        ("rsi", "ind.BTCUSDT", b"value"),
    ]
    assert world.refusals() == []


async def test_one_symbol_can_be_asked_for_alone(world):
    heard: list[tuple[str, str, bytes]] = []
    async with world.link("alpha") as alpha, tapping(world, "alpha", heard, subjects=["data.B"]):
        for symbol in "ABC":
            await alpha.publish(f"data.{symbol}", b"tick")
        await alpha.flush()
        await world.until(lambda: heard)

    assert heard == [("alpha", "data.B", b"tick")]


@pytest.mark.parametrize(
    "subject",
    ["data.BTCUSDT", "beat", "sig.A", "sig.beta.A", "ctl.beta", "in.alpha.data.A", "$JS.API.INFO"],
)
async def test_who_listens_can_say_nothing(world, subject):
    heard = []

    async def note(message):
        heard.append(message.data)

    async with (
        world.broker.tapped(tap("beta", Kind.STRATEGY), HOUR) as credentials,
        world.core() as core,
        dial(world.broker.address(), credentials, name="x") as life,
    ):
        await core.client.subscribe(">", cb=note)
        await core.settle()
        await life.client.publish(subject, b"forged")
        await world.until(lambda: life.last_error)
        await core.client.publish("the.end", b"end")
        await world.until(lambda: b"end" in heard)

    assert "permissions violation for publish" in life.last_error.lower()
    assert b"forged" not in heard


@pytest.mark.parametrize(
    "subject", [">", "fill.>", "data.>", "ctl", "$JS.API.>", "_INBOX.>", "in.>"]
)
async def test_who_listens_can_hear_nothing_else(world, subject):
    async with (
        world.broker.tapped(tap("beta", Kind.STRATEGY), HOUR) as credentials,
        dial(world.broker.address(), credentials, name="x") as life,
    ):
        await life.client.subscribe(subject)
        await world.until(lambda: life.last_error)

    assert "permissions violation for subscription" in life.last_error.lower()


async def test_credentials_serve_one_connection_and_cost_the_plugin_none(world):
    heard: list[tuple[str, str, bytes]] = []
    async with (
        world.broker.tapped(tap("alpha", Kind.DATA_SOURCE), HOUR) as credentials,
        dial(world.broker.address(), credentials, name="one"),
        tapping(world, "alpha", heard), tapping(world, "alpha", heard),
        tapping(world, "alpha", heard), tapping(world, "alpha", heard),
        world.link("alpha"), world.link("alpha"), world.link("alpha") as alpha,
    ):  # fmt: skip
        with pytest.raises(UnreachableError):
            async with dial(world.broker.address(), credentials, name="two"):
                pass
        await alpha.publish("data.A", b"tick")
        await world.until(lambda: len(heard) == 4)


async def test_at_the_end_of_the_block_the_right_is_gone(world):
    rights = tap("alpha", Kind.DATA_SOURCE)
    async with world.broker.tapped(rights, HOUR) as credentials:
        pass
    with pytest.raises(UnreachableError):
        async with dial(world.broker.address(), credentials, name="late"):
            pass

    async with world.broker.tapped(rights, HOUR) as credentials:
        connection = dial(world.broker.address(), credentials, name="one")
        life = await connection.__aenter__()
    try:
        async with asyncio.timeout(30):
            await life.lost.wait()
    finally:
        await connection.__aexit__(None, None, None)
    world.remove("gamma")
    world.edges = [each for each in world.edges if "gamma" not in (each.consumer, each.producer)]
    await world.ensure()
    kept = list((world.folder / "broker" / "accounts").iterdir())
    assert [each.name for each in kept if not each.name.endswith(".jwt")] == []
    assert len(kept) == len(world.plugins) + 2, "and CORE and SYS"


async def test_the_right_ends_by_itself_where_nobody_is_left_to_end_it(world):
    heard: list[tuple[str, str, bytes]] = []
    async with tapping(world, "alpha", heard, lifetime=timedelta(seconds=2)) as listening:
        async with asyncio.timeout(15):
            words = await listening

    assert words.startswith("the broker has ended the connection")


async def test_a_change_of_the_wiring_disturbs_nobody_who_listens(world):
    heard: list[tuple[str, str, bytes]] = []
    async with world.link("alpha") as alpha, tapping(world, "alpha", heard):
        world.add("delta", Kind.STRATEGY)
        world.wire("alpha", "data", "delta")
        await world.ensure()
        await alpha.publish("data.A", b"tick")
        await world.until(lambda: heard)


async def test_what_a_killed_controller_left_is_removed_by_the_next(world):
    """Its own listeners stay: only those of whom nobody knows any more go."""
    rights = tap("alpha", Kind.DATA_SOURCE)
    killed = world.broker.tapped(rights, HOUR)
    left = await killed.__aenter__()
    async with NatsBroker(world.folder / "broker", project="test") as following:
        world.broker = following
        heard: list[tuple[str, str, bytes]] = []
        async with tapping(world, "alpha", heard), world.link("alpha") as alpha:
            await world.ensure()
            await alpha.publish("data.A", b"tick")
            await world.until(lambda: heard)
            with pytest.raises(UnreachableError):
                async with dial(following.address(), left, name="left"):
                    pass
    await killed.__aexit__(None, None, None)
