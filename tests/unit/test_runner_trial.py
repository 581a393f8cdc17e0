"""Which message ended the lives before: what is noted, what is tried alone, what is dead."""

import asyncio

from ntp.connection import Message
from ntp.contract.letters import Why
from ntp.runner.trial import HELD, TRIES, Court, Trial


def message(seq, behind=3):
    return Message("sig.hand.BTC", b"", f"$JS.ACK.SIG_hand.paper.1.{seq}.1.17.{behind}")


class Notes:
    """What stands in the stream, over lives."""

    def __init__(self, *, kept=True):
        self.kept = kept
        self.noted = set()

    async def begin(self, sender, each, count):
        fresh = (sender, each.seq, count) not in self.noted
        self.noted.add((sender, each.seq, count))
        return fresh

    async def settled(self):
        await asyncio.sleep(0)


def life(notes, last_end="", sender="hand"):
    return Trial(Court(notes, last_end, asyncio.Lock()), sender)


async def begun(trial, each):
    """Return the verdict of a life that does not come to the end of this message."""
    async with trial.of([each]) as verdict:
        return verdict


async def test_a_life_that_gets_on_notes_its_first_message_and_goes_on_as_usual():
    notes = Notes()
    trial = life(notes)
    assert trial.batch(256) == 1
    assert not (await begun(trial, message(1))).alone
    assert trial.batch(256) == 256
    async with trial.of([message(2), message(3)]) as verdict:
        assert not verdict.alone
    assert notes.noted == {("hand", 1, 1)}


async def test_a_life_that_begins_where_the_last_one_did_tries_each_message_alone():
    notes = Notes()
    await begun(life(notes), message(1))
    trial = life(notes)
    assert (await begun(trial, message(1))).alone
    assert trial.batch(256) == 1
    assert (await begun(trial, message(2))).alone
    assert ("hand", 2, 1) in notes.noted
    assert (await begun(trial, message(3, behind=0))).alone
    assert trial.batch(256) == 256, "the last one that waited"


async def test_as_many_as_a_life_can_have_left_are_tried_alone_and_no_more():
    notes = Notes()
    await begun(life(notes), message(1))
    trial = life(notes)
    for seq in range(1, HELD + 1):
        assert (await begun(trial, message(seq))).alone
    assert trial.batch(256) == 256


async def test_it_is_dead_after_so_many_lives_with_what_the_last_one_ended_by():
    notes = Notes()
    for _ in range(TRIES):
        assert (await begun(life(notes), message(1))).dead is None
    dead = (await begun(life(notes, "OOMKilled: peak 2 GiB"), message(1))).dead
    assert (dead.reason, dead.tries) == (Why.ENDED_RECEIVER, TRIES)
    assert dead.message.endswith("ended while they processed it; the last: OOMKilled: peak 2 GiB")
    trial = life(notes)
    assert (await begun(trial, message(1))).dead
    assert (await begun(trial, message(2))).dead is None


async def test_what_one_life_is_handed_twice_counts_once():
    notes = Notes()
    await begun(life(notes), message(1))
    trial = life(notes)
    for _ in range(2 * TRIES):
        assert (await begun(trial, message(1))).dead is None


async def test_while_a_suspect_is_tried_no_other_one_is_begun():
    notes = Notes()
    for sender in ("hand", "otto"):
        await begun(life(notes, sender=sender), message(1))
    court = Court(notes, "", asyncio.Lock())
    other = asyncio.Event()

    async def otto():
        async with Trial(court, "otto").of([message(1)]):
            other.set()

    async with asyncio.TaskGroup() as tasks, Trial(court, "hand").of([message(1)]):
        tasks.create_task(otto())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not other.is_set()
        assert ("otto", 1, 2) not in notes.noted, "or it would count as tried"
    assert other.is_set()


async def test_where_nothing_is_kept_nothing_is_tried():
    trial = life(Notes(kept=False))
    assert trial.batch(256) == 256
