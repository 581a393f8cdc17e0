"""Ticks, signals and fills between real accounts of a real nats-server."""

import asyncio

import pytest

from ntp.contract.names import Kind
from ntp.contract.subjects import data_in
from orchestrator.bus.client import dial


async def _within(awaitable, seconds=15.0):
    async with asyncio.timeout(seconds):
        return await awaitable


async def test_ticks_reach_those_who_are_wired_and_only_their_symbols(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta, world.link("gamma") as g:
        heard: list[tuple[str, str, bytes]] = []
        await beta.subscribe(data_in("alpha"), lambda s, p: heard.append(("beta", s, p)))
        await g.subscribe(data_in("alpha", "BTCUSDT"), lambda s, p: heard.append(("gamma", s, p)))
        await beta.settle()
        await _roundtrip(beta, g)
        for symbol in ("BTCUSDT", "ETHUSDT"):
            await alpha.publish(f"data.{symbol}", symbol.encode())
        await world.until(lambda: len(heard) == 3)
    assert sorted(heard) == [
        ("beta", "in.alpha.data.BTCUSDT", b"BTCUSDT"),
        ("beta", "in.alpha.data.ETHUSDT", b"ETHUSDT"),
        ("gamma", "in.alpha.data.BTCUSDT", b"BTCUSDT"),
    ]
    assert world.refusals() == []


async def _roundtrip(*links):
    """Have the server know of every subscription made so far."""
    for link in links:
        await _within(link.flush())


async def test_a_signal_is_stored_acknowledged_and_pulled_once(world):
    async with world.link("beta") as beta, world.link("gamma") as gamma:
        first = await _within(beta.request_ack("sig.BTCUSDT", b"buy", "beta:BTCUSDT:1:0"))
        again = await _within(beta.request_ack("sig.BTCUSDT", b"buy", "beta:BTCUSDT:1:0"))
        assert (first.stream, first.seq, first.duplicate) == ("SIG_beta", 1, False)
        assert (again.seq, again.duplicate) == (1, True)
        (message,) = await gamma.pull("beta")
        assert (message.subject, message.payload) == ("sig.beta.BTCUSDT", b"buy")
        assert (message.seq, message.delivered) == (1, 1)
        await gamma.ack(message)
        assert await gamma.pull("beta", expires=0.5) == []


async def test_fills_go_back_to_their_own_strategy_alone(world):
    world.add("delta", Kind.STRATEGY)
    world.wire("delta", "signal", "gamma")
    world.wire("gamma", "fill", "delta")
    await world.ensure()
    async with (
        world.link("gamma") as gamma,
        world.link("beta") as beta,
        world.link("delta") as delta,
    ):
        await _within(gamma.request_ack("fill.beta.BTCUSDT", b"for beta", "f1"))
        await _within(gamma.request_ack("fill.delta.BTCUSDT", b"for delta", "f2"))
        (fill,) = await beta.pull("gamma")
        assert fill.payload == b"for beta"
        (fill,) = await delta.pull("gamma")
        assert fill.payload == b"for delta"
        assert await beta.pull("gamma", expires=0.3) == []


async def test_what_was_not_acknowledged_comes_again_in_order(world):
    async with world.link("beta") as beta:
        for number in range(10):
            await beta.submit("sig.BTCUSDT", b"%d" % number, f"id-{number}")
        await _within(beta.settle())
    async with world.link("gamma") as gamma:
        messages = await gamma.pull("beta", batch=4)
        await gamma.ack(messages[0])
        await _within(gamma.flush())
    async with world.link("gamma") as gamma:
        async with world.link("beta") as beta:
            await _within(beta.request_ack("sig.BTCUSDT", b"10", "id-10"))
        again: list[bytes] = []
        while len(again) < 10:
            messages = await gamma.pull("beta", batch=64)
            assert messages, "nothing came within five seconds"
            again += [message.payload for message in messages]
    assert again == [b"%d" % number for number in range(1, 11)]


async def test_what_was_under_way_when_a_connection_broke_comes_again_first(world):
    """After a reconnect, too, nothing newer overtakes what was handed out and not acknowledged."""
    async with world.link("beta") as beta, world.link("gamma") as gamma:
        for number in range(4):
            await _within(beta.request_ack("sig.A", b"%d" % number, f"id-{number}"))
        messages: list[bytes] = []
        while len(messages) < 4:
            messages += [message.payload for message in await gamma.pull("beta")]
        await _within(beta.request_ack("sig.A", b"4", "id-4"))
        await gamma._client.force_reconnect()
        await world.until(lambda: gamma.stats.reconnects == 1)
        again: list[bytes] = []
        while len(again) < 5:
            pulled = await gamma.pull("beta")
            assert pulled, "nothing came within five seconds"
            again += [message.payload for message in pulled]
    assert again == [b"0", b"1", b"2", b"3", b"4"]


async def test_what_went_astray_on_the_way_comes_before_anything_newer(world):
    """As where a server of a cluster goes, with what it was about to hand out, and the connection stays."""
    async with world.link("beta") as beta, world.link("gamma") as gamma:
        await _within(beta.request_ack("sig.A", b"0", "id-0"))
        (message,) = await gamma.pull("beta", batch=1)
        await gamma.ack(message)
        await _within(beta.request_ack("sig.A", b"1", "id-1"))
        credentials = world.broker.credentials("gamma")
        async with dial(world.broker.address(), credentials, name="astray") as other:
            inbox = other.client.new_inbox()
            answers = await other.client.subscribe(inbox)
            await other.client.publish("next.beta", b'{"batch": 1}', reply=inbox)
            assert (await answers.next_msg(timeout=15)).data == b"1"
        await _within(beta.request_ack("sig.A", b"2", "id-2"))
        got: list[bytes] = []
        while len(got) < 2:
            pulled = await gamma.pull("beta", batch=1)
            assert pulled, "nothing came within five seconds"
            got += [message.payload for message in pulled]
        assert got == [b"1", b"2"]


async def test_an_executor_that_comes_later_is_not_given_old_signals(world):
    async with world.link("beta") as beta:
        await _within(beta.request_ack("sig.BTCUSDT", b"old", "old"))
        world.add("late", Kind.EXECUTOR)
        world.wire("beta", "signal", "late")
        await world.ensure()
        await _within(beta.request_ack("sig.BTCUSDT", b"new", "new"))
    async with world.link("late") as late:
        (message,) = await late.pull("beta")
        assert message.payload == b"new"


async def test_adding_and_removing_a_plugin_disturbs_nobody(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta, world.link("gamma") as g:
        links = {"alpha": alpha, "beta": beta, "gamma": g}
        heard: list[bytes] = []
        await beta.subscribe(data_in("alpha"), lambda _, p: heard.append(p))
        await _roundtrip(beta)
        for number in range(5):
            world.add(f"extra{number}", Kind.STRATEGY)
            world.wire("alpha", "data", f"extra{number}")
            await world.ensure()
            async with world.link(f"extra{number}") as extra:
                await _within(extra.request_ack("sig.X", b"", f"x{number}"))
            await alpha.publish("data.A", b"%d" % number)
        for number in range(5):
            world.remove(f"extra{number}")
            await world.ensure()
        await world.until(lambda: len(heard) == 5)
        assert heard == [b"%d" % number for number in range(5)]
        assert {name: link.stats.reconnects for name, link in links.items()} == dict.fromkeys(
            links, 0
        )
    assert all(not world.errors[name] for name in links)


async def test_a_removed_plugin_is_cut_off_and_its_stream_is_gone(world):
    async with world.link("beta") as beta:
        await _within(beta.request_ack("sig.A", b"", "1"))
        world.remove("beta")
        await world.ensure()
        await world.until(lambda: not beta.connected)
        assert await world.streams() == {"FILL_gamma", "DLQ_gamma", "TRY_gamma"}
    assert any("reconnecting" in words for words in world.errors["beta"])


async def test_a_right_that_is_withdrawn_ends_delivery_and_comes_back_with_it(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        heard: list[bytes] = []
        await beta.subscribe(data_in("alpha"), lambda _, p: heard.append(p))
        await _roundtrip(beta)
        await alpha.publish("data.A", b"1")
        await world.until(lambda: heard == [b"1"])
        kept = list(world.edges)
        world.edges = [each for each in kept if each.consumer != "beta" or each.channel != "data"]
        await world.ensure()
        await alpha.publish("data.A", b"2")
        await _roundtrip(alpha, beta)
        world.edges = kept
        await world.ensure()
        async with asyncio.timeout(15):
            while heard[-1] != b"3":  # the server drops the subscription; the link asks again
                await alpha.publish("data.A", b"3")
                await asyncio.sleep(0.05)
        assert set(heard) == {b"1", b"3"}
        assert beta.stats.reconnects == 0


async def test_an_indicators_values_reach_a_strategy(world):
    world.add("rsi", Kind.INDICATOR)
    world.wire("alpha", "data", "rsi")
    world.wire("rsi", "indicator", "beta")
    await world.ensure()
    async with world.link("rsi") as rsi, world.link("beta") as beta:
        heard: list[tuple[str, bytes]] = []
        await beta.subscribe("in.rsi.ind.>", lambda s, p: heard.append((s, p)))
        await _roundtrip(beta)
        await rsi.publish("ind.BTCUSDT", b"71.5")
        await world.until(lambda: heard)
    assert heard == [("in.rsi.ind.BTCUSDT", b"71.5")]


async def test_the_bus_hears_beats_and_speaks_to_one_plugin(world):
    from datetime import UTC, datetime

    import msgspec

    from ntp.contract.beat import Beat, Stage
    from orchestrator.bus.connection import listen

    def beat(instance: str, number: int) -> bytes:
        return msgspec.json.encode(
            Beat(
                instance=instance,
                kind="strategy",
                incarnation="one",
                generation=1,
                number=number,
                at=datetime.now(UTC),
                started=datetime(2026, 1, 1, tzinfo=UTC),
                stage=Stage.READY,
            )
        )

    async with (
        listen(world.broker.address, world.broker.core_credentials) as bus,
        world.link("beta") as beta,
        world.link("gamma") as gamma,
    ):
        told: list[tuple[str, bytes]] = []
        await beta.subscribe("ctl", lambda _, p: told.append(("beta", p)))
        await gamma.subscribe("ctl", lambda _, p: told.append(("gamma", p)))
        await _roundtrip(beta, gamma)
        await world.until(lambda: bus.listening_since)
        await beta.publish("beat", beat("beta", 1))
        await gamma.publish("beat", beat("beta", 2))  # forged: the subject will say gamma
        await world.until(lambda: "beta" in bus.beats() and bus.forged == 1)
        assert bus.beats()["beta"][0].number == 1
        assert "gamma" not in bus.beats()
        changes = bus.changes()
        assert await _within(anext(changes)) == "beta"
        await bus.control("beta", {"reload": True})
        await world.until(lambda: told)
        assert told == [("beta", b'{"reload":true}')]
        world.server.kill()
        await world.until(lambda: bus.listening_since is None)
        from orchestrator.errors import UnreachableError

        with pytest.raises(UnreachableError):
            await bus.control("beta", {})
        world.start()
        await world.until(lambda: bus.listening_since)
        await changes.aclose()
