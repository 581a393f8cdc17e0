"""A plugin's own end of the bus: order, bounds, failures, the door."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from ntp.connection import connect
from ntp.contract.launch import CREDENTIALS_FILE, DOOR_SOCKET, BusAddress
from ntp.contract.subjects import data_in
from ntp.inbox import Inbox

DOOR = Path(__file__).parents[1] / "door" / "opened_door.py"


async def test_callbacks_run_one_after_another_in_order_of_arrival(world):
    a, b = "in.alpha.data.A", "in.alpha.data.B"
    gate = asyncio.Event()
    events: list[str] = []

    async def slow(subject: str, _: bytes) -> None:
        events.append(f"begin {subject}")
        await gate.wait()
        events.append(f"end {subject}")

    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await beta.subscribe(data_in("alpha", "A"), slow)
        await beta.subscribe(data_in("alpha", "B"), lambda subject, _: events.append(subject))
        await beta.flush()
        for symbol in "ABA":
            await alpha.publish(f"data.{symbol}", b"")
        await world.until(lambda: beta.stats.waiting == 2)
        assert events == [f"begin {a}"], "nobody else meanwhile"
        gate.set()
        await world.until(lambda: len(events) == 5)
    assert events == [f"begin {a}", f"end {a}", b, f"begin {a}", f"end {a}"]


async def test_a_direct_callback_overtakes_what_waits(world):
    gate = asyncio.Event()
    events: list[str] = []

    async def stuck(_: str, __: bytes) -> None:
        await gate.wait()
        events.append("tick")

    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await beta.subscribe(data_in("alpha"), stuck)
        await beta.subscribe("ctl", lambda _, __: events.append("ctl"), direct=True)
        await beta.flush()
        await alpha.publish("data.A", b"")
        await world.until(lambda: beta.stats.waiting == 0)
        async with world.core() as core:
            await core.client.publish("ctl.beta", b"{}")
            await core.settle()
        await world.until(lambda: events == ["ctl"])
        gate.set()
        await world.until(lambda: events == ["ctl", "tick"])


@pytest.mark.parametrize("direct", [False, True])
async def test_an_exception_of_a_callback_ends_the_link_as_itself(world, direct):
    def fails(_: str, __: bytes) -> None:
        raise ZeroDivisionError

    async def life() -> None:
        async with world.link("alpha") as alpha, world.link("beta") as beta:
            await beta.subscribe(data_in("alpha"), fails, direct=direct)
            await beta.flush()
            await alpha.publish("data.A", b"")
            await asyncio.Event().wait()

    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(20):
            await life()


async def test_an_exception_of_the_block_comes_out_as_itself(world):
    with pytest.raises(KeyError):
        async with world.link("beta"):
            raise KeyError


async def test_cancelling_the_block_ends_it(world):
    inside = asyncio.Event()

    async def life() -> None:
        async with world.link("beta"):
            inside.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(life())
        await inside.wait()
        running.cancel()
    assert running.cancelled()


async def test_drain_handles_what_waits_and_sees_signals_stored(world):
    heard: list[bytes] = []

    async def note(_: str, payload: bytes) -> None:
        await asyncio.sleep(0.001)
        heard.append(payload)

    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await beta.subscribe(data_in("alpha"), note)
        await beta.flush()
        for number in range(100):
            await alpha.publish("data.A", b"%d" % number)
        await alpha.flush()
        await beta.flush()
        futures = [await beta.submit("sig.A", b"", str(number)) for number in range(100)]
        async with asyncio.timeout(15):
            await beta.drain()
            await beta.drain()
        assert len(heard) == 100
        assert all(future.done() for future in futures)
        await alpha.publish("data.A", b"too late")
        await alpha.flush()
        await beta.flush()
        assert len(heard) == 100


async def test_flush_returns_after_the_server_has_taken_everything(world):
    async with world.link("alpha") as alpha, world.link("beta") as beta:
        heard: list[bytes] = []
        await beta.subscribe(data_in("alpha"), lambda _, p: heard.append(p), direct=True)
        await beta.flush()
        for number in range(200):
            await alpha.publish("data.A", b"%d" % number)
            await alpha.flush()
            await beta.flush()
            assert heard[-1] == b"%d" % number


async def test_what_is_too_large_is_an_error_of_the_caller_not_of_the_connection(world):
    async with world.link("beta") as beta:
        with pytest.raises(ValueError, match="at most 122880 may"):
            await beta.publish("sig.A", b"x" * 130_000)
        with pytest.raises(ValueError, match="at most"):
            await beta.submit("sig.A", b"x" * 130_000, "1")
        ack = await beta.request_ack("sig.A", b"x" * 120_000, "i" * 500)
        assert ack.seq == 1
        assert beta.stats.reconnects == 0


async def test_a_plugin_that_is_too_slow_drops_and_counts(world):
    gate = asyncio.Event()

    async def stuck(_: str, __: bytes) -> None:
        await gate.wait()

    async with world.link("alpha") as alpha, world.link("beta") as beta:
        await beta.subscribe(data_in("alpha"), stuck)
        await beta.flush()
        for number in range(700):
            await alpha.publish("data.A", b"x" * 110_000)
            if number % 20 == 0:  # let the reader of the same loop keep up with the server's pace
                await alpha.flush()
                await beta.flush()
        await beta.flush()
        await world.until(lambda: beta.stats.dropped > 0)
        stats = beta.stats
        assert stats.waiting * 110_000 <= 64 * 1024 * 1024
        assert stats.connected
        gate.set()
    assert stats.reconnects == 0


def test_the_inbox_is_bounded_by_messages_and_by_bytes():
    async def scenario() -> None:
        inbox = Inbox(3, 100)
        heard: list[bytes] = []
        put = inbox.receiver(lambda _, payload: heard.append(payload))
        for payload in (b"1", b"x" * 98, b"2", b"3"):
            put("s", payload)
        assert (len(inbox), inbox.dropped, inbox.bytes) == (3, 1, 100)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(inbox.run())
            await inbox.join()
            put("s", b"4")
            await inbox.join()
            running.cancel()
        assert heard == [b"1", b"x" * 98, b"2", b"4"]
        assert inbox.bytes == 0

    asyncio.run(scenario())


async def test_a_broken_credential_is_told_and_does_not_hang(world, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / CREDENTIALS_FILE).write_text("nothing of use\n")
    address = BusAddress(servers=[f"nats://{world.broker.address()}"])
    await in_vain(world, "bus.creds holds no USER", folder, address, plain=True)


async def in_vain(world, words: str, folder: Path, address: BusAddress, *, plain: bool) -> None:
    """Try to connect until those words are said of it, and give up."""
    said: list[str] = []

    async def tries() -> None:
        async with connect(folder, address, plain=plain, name="beta", on_error=said.append):
            pytest.fail("connected")

    async with asyncio.TaskGroup() as tasks:
        trying = tasks.create_task(tries())
        await world.until(lambda: any(words in each for each in said))
        trying.cancel()
    assert trying.cancelled()


async def test_a_plugin_that_starts_before_the_broker_waits_for_it(world):
    world.server.kill()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:

        async def life() -> int:
            async with world.link("beta") as beta:
                return (await beta.request_ack("sig.A", b"", "1")).seq

        starting = tasks.create_task(life())
        await world.until(lambda: any("111" in words for words in world.errors.get("beta", [])))
        world.start()
        await world.ensure()
    assert starting.result() == 1


async def test_a_silent_broker_is_noticed_and_left(world):
    """A stopped process answers no ping: the link says that it is disconnected within 3 pings."""
    import os
    import signal

    async with world.link("beta") as beta:
        beta._client.options["ping_interval"] = 0.2
        beta._client._ping_interval_task.cancel()
        beta._client._ping_interval_task = None
        await beta._client.force_reconnect()  # so that the shorter interval counts
        await world.until(lambda: beta.stats.reconnects == 1)
        os.kill(world.server.pid, signal.SIGSTOP)
        try:
            await world.until(lambda: not beta.connected)
        finally:
            os.kill(world.server.pid, signal.SIGCONT)
        await world.until(lambda: beta.connected)
        await beta.request_ack("sig.A", b"", "1")


@pytest.fixture
def door(world):
    """Return a folder as a plugin of `beta` finds it, with a door that knows the broker alone."""
    folder = world.folder / "run" / "beta"
    folder.mkdir(parents=True)
    (folder / CREDENTIALS_FILE).write_bytes(world.broker.credentials("beta"))
    process = subprocess.Popen(
        [
            sys.executable,
            DOOR,
            DOOR_SOCKET,
            f'["{world.broker.address()}"]',
            "[]",
            "{}",
            "{}",
            "refused.json",
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield folder
    process.kill()
    process.wait()
    process.stdout.close()


async def test_a_link_goes_through_the_door_and_comes_back_through_it(world, door):
    address = BusAddress(servers=[f"nats://{world.broker.address()}"])
    async with connect(door, address, plain=False, name="beta") as beta:
        assert (await beta.request_ack("sig.A", b"", "1")).seq == 1
        world.server.kill()
        await world.until(lambda: not beta.connected)
        world.start()
        assert (await beta.request_ack("sig.A", b"", "2")).seq == 2
    elsewhere = BusAddress(servers=["nats://127.0.0.1:1"])
    await in_vain(world, "network.egress", door, elsewhere, plain=False)


_WITHOUT_INET = """
import asyncio, socket, sys
from pathlib import Path
import pyseccomp
from ntp.connection import connect
from ntp.contract.launch import BusAddress

asyncio.new_event_loop().close()
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
unix = pyseccomp.Arg(0, pyseccomp.NE, int(socket.AF_UNIX))
rules.add_rule(pyseccomp.ERRNO(1), "socket", unix)
rules.load()
try:
    socket.socket(socket.AF_INET)
except PermissionError:
    pass
else:
    raise SystemExit("AF_INET was not refused")

async def main():
    address = BusAddress(servers=[f"nats://{sys.argv[2]}"])
    async with asyncio.timeout(20), connect(Path(sys.argv[1]), address, plain=False, name="beta") as link:
        print((await link.request_ack("sig.A", b"from inside", "1")).seq)

asyncio.run(main())
"""


async def test_a_link_works_where_no_inet_socket_may_be_made(world, door):
    pytest.importorskip("pyseccomp")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _WITHOUT_INET,
        door,
        world.broker.address(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert output == b"1\n", errors.decode()


async def test_who_is_told_to_end_while_it_flushes_ends(world):
    """Wherever in it: each step of the loop once."""
    async with world.link("alpha") as alpha:
        for steps in range(6):
            await alpha.publish("data.A", b"")
            flushing = asyncio.create_task(alpha.flush())  # noqa: TID251 (cancelled, and awaited)
            for _ in range(steps):
                await asyncio.sleep(0)
            if not flushing.done():
                flushing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await flushing
