"""What is sent of a message that is dead, and that nothing is acknowledged before it is kept."""

import asyncio
import json

import msgspec
import pytest

from ntp import ExecutorPlugin
from ntp.connection import Ack, Message
from ntp.contract.launch import BusAddress, LaunchFile, Listen
from ntp.contract.letters import HEADER, Letter, Why
from ntp.contract.names import Kind
from ntp.link_stats import Stats
from ntp.postbox import PAYLOAD_LIMIT
from ntp.runner.core.border import Refusals
from ntp.runner.core.dead import Dead
from ntp.runner.core.objects import Maker
from ntp.runner.executor_part import ExecutorPart
from ntp.runner.letterbox import Letterbox

PLACE = "$JS.ACK.SIG_hand.paper.1.{}.1.1796011760025181249.3"


def launch(**change):
    fields = {
        "project": "p", "instance": "paper", "kind": Kind.EXECUTOR, "plugin": "paper",
        "entrypoint": "m:P", "code": "/plugin", "generation": 1, "bus": BusAddress([]),
        "inputs": [Listen("hand", Kind.STRATEGY)], "dead_letters": True,
    }  # fmt: skip
    return LaunchFile(**fields | change)


class Shelf:
    """A bucket in which nothing was left."""

    async def load(self):
        await asyncio.sleep(0)
        return b""

    async def store(self, _):
        await asyncio.sleep(0)


class Line:
    """A link on which what is buried is stored when the test says so."""

    def __init__(self, *messages):
        self.waiting = list(messages)
        self.buried = []
        self.acknowledged = []
        self.bucket = Shelf()
        self.stats = Stats(
            connected=False, reconnects=0, dropped=0, unsent=0, unacked=0, repeats=0, waiting=0
        )

    async def pull(self, _, batch):
        await asyncio.sleep(0)
        found, self.waiting = self.waiting[:batch], self.waiting[batch:]
        return found

    async def bury(self, subject, payload, msg_id, headers):
        await asyncio.sleep(0)
        stored = asyncio.get_running_loop().create_future()
        if subject.startswith("dlq.try."):
            stored.set_result(Ack("TRY_paper", 1))
        else:
            self.buried.append((subject, payload, msg_id, headers, stored))
        return stored

    async def subscribe(self, *_, **__):
        await asyncio.sleep(0)

    async def ack(self, message):
        await asyncio.sleep(0)
        self.acknowledged.append(message.seq)


def message(seq, payload=b"garbage", subject="sig.hand.BTC=2FUSDT"):
    return Message(subject, payload, PLACE.format(seq))


async def boxed(each, dead, line=None, **change):
    line = line or Line()
    box = Letterbox(launch(**change))
    box.listen(line)
    stored = await box.put("hand", each, dead)
    return box, line, stored


def told(line):
    (header,) = [each[3][HEADER] for each in line.buried]
    return header, msgspec.json.decode(header, type=Letter)


async def test_a_letter_is_the_message_with_what_is_known_of_it_in_one_header():
    each = message(7, b'{"id": "hand:BTC:7", "number": 3}')
    _, line, _ = await boxed(each, Dead(Why.OUT_OF_BORDER, "size was\r\n-1 €", tries=1))
    ((subject, payload, name, _, _),) = line.buried
    assert subject == "dlq.letter.hand.7-1796011760025181249"
    assert payload == each.payload
    assert name == "SIG_hand:7-1796011760025181249:paper"
    header, letter = told(line)
    assert header.isascii()
    assert header.isprintable()
    assert (letter.receiver, letter.sender, letter.stream, letter.seq) == (
        "paper", "hand", "SIG_hand", 7,
    )  # fmt: skip
    assert (letter.id, letter.symbol, letter.message) == (
        "hand:BTC:7", "BTC/USDT", "size was  -1 €",
    )  # fmt: skip
    assert letter.stored.isoformat() == "2026-11-30T04:09:20.025181+00:00"


async def test_the_longest_message_with_the_longest_header_is_no_more_than_the_broker_takes():
    wild = "\U0001f4a5" * 5000
    payload = json.dumps({"id": wild, "pad": "x" * PAYLOAD_LIMIT}, ensure_ascii=False).encode()
    each = message(7, payload, f"sig.hand.{wild}")
    _, line, _ = await boxed(each, Dead(Why.UNREADABLE, wild))
    ((_, kept, name, headers, _),) = line.buried
    assert len(kept) == PAYLOAD_LIMIT
    assert told(line)[1].cut
    size = sum(len(key) + len(value) + 4 for key, value in headers.items()) + len(name) + 32
    assert len(kept) + size < 128 * 1024


@pytest.mark.parametrize("subject", ["sig.hand._progress", "again.hand.paper.="])
async def test_what_is_about_no_symbol_says_so(subject):
    _, line, _ = await boxed(message(1, subject=subject), Dead(Why.UNREADABLE, "no"))
    assert told(line)[1].symbol == ""


async def test_under_an_older_controller_it_is_counted_and_gone():
    box, line, stored = await boxed(message(1), Dead(Why.UNREADABLE, "no"), dead_letters=False)
    assert (box.dead, box.kept, stored, line.buried) == (1, False, [], [])


async def test_what_is_not_kept_is_told_until_one_is_kept_again():
    box, line, _ = await boxed(message(1), Dead(Why.UNREADABLE, "no"))
    await box.put("hand", message(2), Dead(Why.UNREADABLE, "no"))
    for *_, stored in line.buried:
        stored.set_result(Ack("", 0))
    await asyncio.sleep(0)
    assert box.warnings()["DeadLettersFull"].startswith("2 that could not be taken were not kept")
    await box.put("hand", message(3), Dead(Why.UNREADABLE, "no"))
    line.buried[-1][-1].set_result(Ack("DLQ_paper", 9))
    await asyncio.sleep(0)
    assert box.warnings() == {}


class Idle(ExecutorPlugin):
    async def process_signal(self, _):
        raise AssertionError("nothing here can be carried out")


async def test_nothing_is_acknowledged_before_the_letter_is_stored():
    line = Line(message(1), message(2))
    refusals = Refusals()
    part = ExecutorPart(launch(), Maker(Idle, {}, instance="paper"), "i", refusals)
    part.prepare()
    await part.start(line)
    await part.listen()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(part.run())
        while len(line.buried) < 2:
            await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert line.acknowledged == []
        line.buried[1][-1].set_result(Ack("DLQ_paper", 2))
        for _ in range(50):
            await asyncio.sleep(0)
        assert line.acknowledged == []
        line.buried[0][-1].set_result(Ack("DLQ_paper", 1))
        while len(line.acknowledged) < 2:
            await asyncio.sleep(0)
        part.stop()
        await running
    assert line.acknowledged == [1, 2]
    assert (part.figures().dead, refusals.count) == (2, 2)
