"""What a source of a live market is given: waits, a pace, the numbers of trades, a line kept open."""

import asyncio
import json
import ssl
import time

import pytest
import trustme

from ntp import MarketData
from ntp.live.backoff import Backoff
from ntp.live.line import Line, LineError
from ntp.live.pace import Pace
from ntp.live.source import LiveSource
from ntp.live.subscriptions import Subscriptions
from ntp.live.trail import GAPS, Trail
from ntp.runner.core import conditions
from ntp.runner.core.border import RefusedError
from tests.worlds.scripted_exchange import Prices, exchange, running


def test_waits_double_up_to_the_longest_and_half_of_each_is_chance():
    shortest = Backoff(0.5, 60, chance=lambda: 0.0)
    assert [shortest.next() for _ in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    longest = Backoff(0.5, 60, chance=lambda: 1.0)
    assert [longest.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    longest.reset()
    assert (longest.full, longest.next()) == (0.5, 0.5)
    for _ in range(5000):
        assert longest.next() <= 60


async def test_a_pace_lets_so_many_through_in_any_stretch_of_time():
    pace, times = Pace(3, 0.1), []

    async def ask():
        await pace.turn()
        times.append(time.monotonic())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(ask())
    # Turns are taken before the clock is read here, so later ones may look a hair early.
    assert all(later - earlier > 0.09 for earlier, later in zip(times, times[3:], strict=False))


def test_numbers_that_come_twice_late_or_never_are_told_apart():
    trail = Trail()
    taken = [number for number in (5, 6, 6, 10, 8, 5, 10, 11) if trail.take(number, number)]
    assert taken == [5, 6, 10, 11]
    assert (trail.missed, trail.duplicates, trail.late, trail.gap) == (3, 3, 1, (7, 9))


def test_an_older_number_at_a_later_time_is_a_new_count():
    trail = Trail()
    assert trail.take(100, 10)
    assert trail.take(1, 11)
    assert not trail.take(1, 11)
    assert (trail.renumbered, trail.missed, trail.duplicates) == (1, 0, 1)


def test_only_the_latest_gaps_are_remembered():
    trail = Trail()
    for number in range(0, 4 * GAPS, 2):
        trail.take(number, number)
    trail.take(4 * GAPS - 3, 0)
    trail.take(1, 0)
    assert (trail.late, trail.duplicates) == (1, 1)
    assert trail.missed == 2 * GAPS - 1


async def _welcome(_):
    pass


async def test_a_connection_that_brought_data_for_long_enough_sets_the_waits_back():
    async with exchange() as server:
        line = Line(server.url, _welcome, Backoff(0.01, 0.05), stale_after_s=60)
        async with running(Prices(line)) as run:
            for number in range(3):
                caller = await server.caller(number)
                await caller.close()
            caller = await server.caller(3)
            assert run.plugin.report()["next_wait_s"] == 0.05
            began = time.monotonic()
            while time.monotonic() < began + 0.06:
                await caller.send("1.5")
                await run.tick()
            await caller.close()
            await server.caller(4)
            assert run.plugin.report()["next_wait_s"] == 0.02


async def test_an_announced_end_without_any_data_waits_as_every_other_end():
    async with exchange() as server:

        async def leave(_):
            await asyncio.sleep(0)

        line = Line(server.url, leave, Backoff(0.01, 0.01), stale_after_s=60, lifetime_s=0.01)
        async with running(Prices(line)) as run:
            await server.caller(3)
            assert run.plugin.report()["failures"] >= 3


async def test_a_greeting_that_fails_closes_its_connection_and_is_tried_again():
    async with exchange() as server:

        async def greet(_):
            raise LineError("not today")

        line = Line(server.url, greet, Backoff(0.01, 0.01), stale_after_s=60)
        async with running(Prices(line)) as run:
            caller = await server.caller(1)
            async with asyncio.timeout(10):
                await caller.gone.wait()
            words = await run.until(lambda: run.plugin.conditions().get("Disconnected"))
            assert words.startswith(f"127.0.0.1:{server.port}: not today; ")


async def test_a_condition_says_when_the_next_try_is_due():
    async with exchange() as server:
        line = Line(server.url, _welcome, Backoff(50, 50, chance=lambda: 1.0), stale_after_s=60)
        async with running(Prices(line)) as run:
            await (await server.caller(0)).close(1008, "Too many requests")
            words = await run.until(lambda: run.plugin.conditions().get("Disconnected"))
            assert words == (
                f"127.0.0.1:{server.port}: closed by the exchange: 1008 Too many requests;"
                " try 2 in 50 s"
            )


class Wishes(Subscriptions):
    topics_each = 2

    async def ask(self, topics, *, on):
        await self.socket.send(json.dumps({"on": on, "topics": topics}))


class Third(LiveSource):
    """A source of an exchange that the project does not ship: `A 1.5` is a price, `A` alone a quote."""

    def topics(self, symbols):
        return {symbol.upper() for symbol in symbols}

    async def greet(self, socket):
        return Wishes(socket)

    def take(self, frame):
        symbol, _, price = frame.decode().partition(" ")
        self.hear(symbol)
        if price:
            yield MarketData(None, self.names[symbol], float(price), 0.0)


def third(server, *symbols):
    config = {"symbols": list(symbols), "reconnect_first_seconds": 0.01, "stale_seconds": 0.3}
    return Third(config, url=server.url, stale_s=60)


async def test_a_live_source_asks_on_each_connection_for_what_is_wanted_then():
    async with exchange() as server, running(third(server, "a", "b", "c")) as run:
        caller = await server.caller(0)
        assert await caller.request() == {"on": True, "topics": ["A", "B"]}
        assert await caller.request() == {"on": True, "topics": ["C"]}
        await caller.send("A 1.5", "B much", "A 2.5")
        assert [(tick.symbol, tick.price) for tick in await run.ticks(2)] == [
            ("a", 1.5),
            ("a", 2.5),
        ]
        report = run.plugin.report()
        assert (report["ticks"], report["unread_frames"], report["never_heard"]) == (2, 1, ["c"])
        assert "could not convert string to float: 'much': B much" in report["last_unread"]
        await run.plugin.unsubscribe(["a", "b"])
        assert await caller.request() == {"on": False, "topics": ["A", "B"]}
        await caller.close()
        assert await (await server.caller(1)).request() == {"on": True, "topics": ["C"]}


async def test_a_symbol_that_was_heard_once_is_no_unknown_one_on_the_next_connection():
    async with exchange() as server, running(third(server, "a", "nosuch")) as run:
        caller = await server.caller(0)
        await caller.request()
        await caller.send("A")
        await run.until(lambda: run.plugin.report()["never_heard"] == ["nosuch"])
        await caller.close()
        caller = await server.caller(1)
        await caller.request()
        await caller.send("NOSUCH")
        await run.until(lambda: run.plugin.report()["never_heard"] == [])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (["FeedStale"], "returned list; give a dict of texts"),
        (None, "returned NoneType"),
        ({"FeedStale": 5}, "'FeedStale': 5"),
        ({"feed is stale": "so"}, "give one word"),
        ({"F" * 65: "so"}, "give one word"),
    ],
)
def test_conditions_that_are_none_are_refused(made, words):
    with pytest.raises(RefusedError, match=words):
        conditions.checked(made)


def test_conditions_are_bounded_for_they_stand_in_every_beat():
    found = conditions.checked({f"C{number}": "x" * 10_000 for number in range(100)})
    assert len(found) == conditions.MOST
    assert {len(message) for message in found.values()} == {conditions.LONGEST}


async def test_a_certificate_that_nobody_trusts_is_told_in_words():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def greet(_):
        raise AssertionError("nobody is greeted")

    server = await asyncio.start_server(
        lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        line = Line(f"wss://localhost:{port}/", greet, Backoff(60, 60), stale_after_s=60)
        async with running(Prices(line)) as source:
            found = await source.until(source.plugin.conditions)
    assert "its certificate is not trusted: " in found["ConnectFailed"]
