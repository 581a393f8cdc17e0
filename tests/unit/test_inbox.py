"""Senders take turns: whoever floods does not hold up the others, and does not take their room."""

import asyncio
from collections.abc import Awaitable, Callable

from ntp.inbox import TURN_BYTES, Inbox

Messages = list[tuple[str, bytes]]


def handled(scenario: Callable[[Inbox], Awaitable[None] | None], inbox: Inbox) -> None:
    """Let `scenario` queue messages, then handle all of them."""

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            scenario(inbox)
            running = tasks.create_task(inbox.run())
            await inbox.join()
            running.cancel()

    asyncio.run(run())


def test_a_quiet_sender_waits_for_one_turn_of_a_flood_and_not_for_all_of_it():
    inbox, order = Inbox(65_536, 16 * 1024 * 1024), []
    payload = b"x" * 64

    def scenario(inbox: Inbox) -> None:
        async def flood(messages: Messages) -> None:
            order.extend(["flood"] * len(messages))

        async def quiet(messages: Messages) -> None:
            order.extend(["quiet"] * len(messages))

        put, put_quiet = (
            inbox.receiver(together=flood, lane="flood"),
            inbox.receiver(together=quiet, lane="quiet"),
        )
        for _ in range(10_000):
            put("in.flood.data.A", payload)
        put_quiet("in.quiet.data.A", payload)

    handled(scenario, inbox)
    assert (len(order), order.count("quiet")) == (10_001, 1)
    assert order.index("quiet") <= TURN_BYTES // len(payload)


def test_while_a_large_message_is_worked_through_others_have_their_turn():
    inbox, order = Inbox(100, 1_000_000), []

    def scenario(inbox: Inbox) -> None:
        async def flood(messages: Messages) -> None:
            for part in range(3):
                order.append(f"flood {part}")
                put_quiet("quiet", b"")
                await inbox.give_way()

        async def quiet(messages: Messages) -> None:
            order.extend(["quiet"] * len(messages))

        put_quiet = inbox.receiver(together=quiet, lane="quiet")
        inbox.receiver(together=flood, lane="flood")("flood", b"")

    handled(scenario, inbox)
    assert order == ["flood 0", "quiet", "flood 1", "quiet", "flood 2", "quiet"]


def test_what_waits_of_one_sender_comes_together_and_in_order_of_arrival():
    inbox, heard = Inbox(100, 1_000), []

    def scenario(inbox: Inbox) -> None:
        async def note(messages: Messages) -> None:
            heard.append(messages)

        puts = [inbox.receiver(together=note, lane="one") for _ in range(2)]
        for number, put in enumerate(puts * 2):
            put("AB"[number % 2], b"%d" % number)

    handled(scenario, inbox)
    assert heard == [[("A", b"0"), ("B", b"1"), ("A", b"2"), ("B", b"3")]]


def test_a_flood_leaves_room_for_others():
    inbox, heard = Inbox(10, 1_000), []

    def scenario(inbox: Inbox) -> None:
        async def note(messages: Messages) -> None:
            heard.extend(messages)

        flood = inbox.receiver(together=note, lane="flood")
        quiet = inbox.receiver(together=note, lane="quiet")
        for _ in range(15):
            flood("flood", b"")
        for _ in range(6):
            quiet("quiet", b"")
        assert (len(inbox), inbox.dropped) == (15, 6)

    handled(scenario, inbox)
    assert [subject for subject, _ in heard].count("quiet") == 5
