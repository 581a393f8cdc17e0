"""What every Runtime promises of output: it is kept, harmless, bounded, and can be followed."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

MIB = 1024 * 1024


async def said(world, code, **fields):
    await world.run("alpha", code, **fields)
    await world.ended("alpha")
    return await world.lines("alpha")


@pytest.mark.needs("keeps_output")
async def test_lines_come_in_order_with_stream_and_time(world):
    code = "import sys\nfor n in range(3): print(n); print(n, file=sys.stderr)"
    seen = await world.run("alpha", code)
    await world.ended("alpha")
    async with aclosing(world.runtime.logs("alpha", follow=False, tail=-1)) as lines:
        found = [line async for line in lines]
    for stream in ("stdout", "stderr"):
        assert [line.text for line in found if line.stream == stream] == ["0", "1", "2"]
    # Whoever keeps the lines may read the last ones after the end was seen.
    assert all(seen.created <= line.at <= datetime.now(UTC) for line in found)


@pytest.mark.parametrize(("tail", "expected"), [(2, ["8", "9"]), (0, []), (99, [*"0123456789"])])
@pytest.mark.rare
async def test_tail_gives_the_last_lines(world, tail, expected):
    await said(world, "for n in range(10): print(n)")
    assert await world.lines("alpha", tail=tail) == expected


async def test_there_are_no_lines_of_an_absent_instance(world):
    assert await world.lines("nobody") == []


@pytest.mark.rare
async def test_control_bytes_are_stripped_and_wrong_utf8_is_replaced(world):
    code = r"import sys; sys.stdout.buffer.write('\x1b[31mred\x07\x9b2J\u202egnp\t|'.encode() + b'\0\xff\n')"
    assert await said(world, code) == ["[31mred2Jgnp\t|\ufffd"]


@pytest.mark.rare
async def test_a_last_line_without_its_end_is_kept(world):
    assert await said(world, "import sys; sys.stdout.write('no newline')") == ["no newline"]


@pytest.mark.rare
async def test_a_long_line_is_split_and_loses_nothing(world):
    lines = await said(world, "print('x' * 100_000)")
    assert "".join(lines) == "x" * 100_000
    assert max(map(len, lines)) <= 16 * 1024


async def test_the_last_words_are_in_the_record_of_the_end(world):
    await said(world, "for n in range(50): print(n)\nraise SystemExit(3)")
    assert (await world.ended("alpha")).last_output == tuple(map(str, range(30, 50)))


@pytest.mark.needs("keeps_output")
async def test_lines_of_an_earlier_life_are_still_there(world):
    await said(world, "print('first')")
    await world.run("alpha", "print('second')", attempt=2)
    await world.ended("alpha")
    assert await world.lines("alpha") == ["first", "second"]


@pytest.mark.needs("keeps_output")
async def test_a_flood_is_bounded_and_told(world):
    flood = """
import sys
for number in range(30_000):
    sys.stdout.write(f'{number} ' + 'x' * 1000 + chr(10))
print('through')
"""
    await world.run("alpha", flood)
    assert (await world.ended("alpha")).code == 0
    lines = await world.lines("alpha", stream=None)
    assert any("dropped" in line for line in await world.lines("alpha", stream="ntp"))
    assert sum(map(len, lines)) <= 2 * MIB


async def test_following_shows_what_is_said_later_until_the_instance_is_removed(world):
    code = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: print('later'))
print('ready')
while True:
    signal.pause()
"""
    await world.run("alpha", code)
    found = []

    async def follow():
        async with aclosing(world.runtime.logs("alpha", follow=True, tail=10)) as lines:
            async for line in lines:
                found.append(line.text)
                if line.text == "ready":
                    world.signal("alpha", 10)
                if line.text == "later":
                    await world.stop("alpha")
                    await world.runtime.remove("alpha", delete_data=True)

    async with asyncio.timeout(30):
        await follow()
    assert found[:2] == ["ready", "later"]


@pytest.mark.needs("keeps_output")
async def test_following_loses_nothing_over_rotations_and_lives(world):
    """Three lives of 0.9 MB each, through files of 1 MiB; each within its budget."""
    numbers = []

    async def follow():
        async with aclosing(world.runtime.logs("alpha", follow=True, tail=-1)) as lines:
            async for line in lines:
                if line.stream == "stdout":
                    numbers.append(int(line.text.split()[0]))
                if numbers[-1:] == [1349]:
                    return

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        await world.run("alpha", "pass")
        group.create_task(follow())
        for life in range(3):
            code = f"for n in range(450): print({life} * 450 + n, 'x' * 2000)"
            await world.ended("alpha")
            await world.runtime.start(world.launch("alpha", code, attempt=2 + life))
    assert numbers == list(range(1350))


@pytest.mark.needs("keeps_output")
async def test_lives_that_passed_while_nobody_read_are_told_in_their_order(world):
    async with asyncio.timeout(60):
        await world.run("alpha", "print('ready')")
        await world.ended("alpha")
        async with aclosing(world.runtime.logs("alpha", follow=True, tail=-1)) as lines:
            assert (await anext(lines)).text == "ready"
            for attempt, word in enumerate(("second", "third"), start=2):
                launch = world.launch("alpha", f"print('{word}')", attempt=attempt)
                await world.runtime.start(launch)
                await world.ended("alpha")
            assert [(await anext(lines)).text for _ in range(2)] == ["second", "third"]
