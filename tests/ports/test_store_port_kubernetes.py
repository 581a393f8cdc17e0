"""What every Store promises, of the objects of a cluster; and what they survive."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from orchestrator.app.on_cluster import stored
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP, SECRET, name_of
from orchestrator.cluster.place import Place
from orchestrator.decide.state import Record
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.ports import Event
from orchestrator.store.kubernetes.beside import beside
from orchestrator.store.kubernetes.documents import shard
from orchestrator.store.kubernetes.lease import ClusterLease, Identity
from orchestrator.store.kubernetes.packing import Document
from orchestrator.store.kubernetes.store import KEPT_EVENTS, ClusterStore
from orchestrator.store.kubernetes.writing import Writing
from tests.ports.store_suite import NOON, StoreSuite, revision

WITHIN_S = 30.0


@pytest.fixture
async def there(cluster, namespace):
    async with Cluster(Place(kubeconfig=cluster.kubeconfig, namespace=namespace)) as there:
        yield there


@pytest.fixture
def opened(there):
    epochs = iter(range(1, 1000))

    @asynccontextmanager
    async def opened(*, held=lambda: True, epoch=None):
        number = next(epochs) if epoch is None else epoch
        async with ClusterStore.opened(there, "desk", epoch=lambda: number, held=held) as store:
            yield store

    return opened


async def written(store):
    async with asyncio.timeout(WITHIN_S):
        while store.pending:
            await asyncio.sleep(0.05)


async def logged_for_ever(store):
    async with asyncio.timeout(WITHIN_S):
        while True:
            store.log(Event(NOON, "", "Normal", "N", ""))
            await asyncio.sleep(0.05)


class TestClusterStore(StoreSuite):
    kept_events = KEPT_EVENTS


async def test_keys_are_there_for_the_next_controller_and_nobody_else_reads_them(opened, there):
    files = {"account.rsi.nk": b"SA", "user.rsi.jwt": b"\xff\x00", "accounts.gone": b"x"}
    async with opened() as store:
        store.keep_files(files)
        store.set("desired", "the book, with every plugin's configuration")
        key = store.digest_key()
    async with opened() as store:
        assert store.files() == files
        assert store.digest_key() == key
        store.keep_files(files)
        await written(store)
        assert store.writes == 0
        assert (await there.list(CONFIG_MAP, "ntp.dev/part=state")).items == ()


async def test_what_did_not_change_is_not_written(opened):
    async with opened() as store:
        store.save(revision(1), expect=None)
        store.put("rsi", Record(generation=1))
        store.set("desired", "{}")
        await written(store)
    async with opened() as store:
        store.put("rsi", Record(generation=1))
        store.set("desired", "{}")
        store.put("momentum", Record())
        store.forget("momentum")
        await written(store)
        assert store.writes == 0


async def test_one_crash_writes_one_object_of_those_that_hold_records(opened):
    async with opened() as store:
        store.put_all({f"plugin{number}": Record(generation=1) for number in range(100)})
        await written(store)
        before = store.writes
        assert before == 16
        store.put("plugin7", Record(generation=1, failures=1))
        await written(store)
        assert store.writes - before == 1


async def test_a_text_of_many_pieces_comes_back_and_the_pieces_before_it_go(opened, there):
    long = os.urandom(1_500_000).hex()
    async with opened() as store:
        store.set("desired", long)
        await written(store)
        store.set("desired", "short")
        await written(store)
        store.set("desired", long)
    async with opened() as store:
        assert store.setting("desired") == long
        pieces = (await there.list(SECRET, "ntp.dev/part=state")).items
        assert len(pieces) == 4


async def test_a_writer_that_was_cut_off_between_two_pieces_leaves_what_was_there(opened, there):
    async with opened() as store:
        store.set("desired", "the one before")
    texts = {Document("setting.desired", secret=True): os.urandom(1_500_000).hex()}

    class CutOffError(Exception):
        pass

    class Cutting:
        """A cluster that dies with us after the first piece."""

        made = 0

        def __getattr__(self, name):
            return getattr(there, name)

        async def create(self, kind, body):
            if self.made:
                raise CutOffError
            self.made += 1
            return await there.create(kind, body)

    writing = Writing(Cutting(), "desk", epoch=lambda: 9, held=lambda: True, text=texts.get)
    await writing.read()
    writing.change(Document("setting.desired", secret=True))
    with pytest.raises(CutOffError):
        await writing.finish()
    async with opened() as store:
        assert (store.setting("desired"), store.repaired) == ("the one before", "")
        store.set("desired", "the next")
        await written(store)
        # The piece that nobody names is cleared away with the next write.
        assert len((await there.list(SECRET, "ntp.dev/part=state")).items) == 1


async def test_a_damaged_object_is_left_out_and_the_rest_is_read(opened, there):
    async with opened() as store:
        store.set("desired", "a")
        store.set("halts", "b")
    body = next(
        each
        for each in (await there.list(SECRET, "ntp.dev/part=state")).items
        if "halts" in each["metadata"]["name"]
    )
    await there.patch(SECRET, body["metadata"]["name"], {"data": {"body": "AAAA"}})
    async with opened() as store:
        assert store.repaired == "damaged, and left out: setting.halts"
        assert (store.setting("desired"), store.setting("halts")) == ("a", None)
        assert [store.lost(each) for each in ("desired", "halts", "down")] == [False, True, False]
    async with opened() as store:  # whoever read it first may have died before he halted anybody
        assert store.lost("halts")
        store.set("halts", "c")
        assert not store.lost("halts")
    async with opened() as store:
        assert (store.setting("halts"), store.lost("halts")) == ("c", False)
        assert store.repaired == "damaged, and left out: setting.halts"
        store.acknowledge()
    async with opened() as store:
        assert (store.setting("halts"), store.repaired) == ("c", "")


async def test_what_was_lost_is_known_until_it_is_acknowledged_whatever_is_written_meanwhile(
    opened, there
):
    async with opened() as store:
        store.save(revision(4), expect=None)
        store.save(revision(5), expect=4)
        store.put("rsi", Record(stopped_by_hand=True))
        store.put("momentum", Record(generation=2))
    lost = f"records.{shard('rsi')}"
    await there.patch(CONFIG_MAP, f"desk-state-{lost}", {"binaryData": {"body": "AAAA"}})
    await there.patch(SECRET, "desk-state-revision.5", {"data": {"body": "AAAA"}})
    assert shard("rsi") != shard("momentum")
    async with opened() as store:
        assert store.lost_records(["rsi", "momentum", "atr"]) == ["rsi"]
        assert (store.current(), store.numbered()) == (revision(4), 5)
        store.save(revision(6), expect=4)
        beside = next(f"p{n}" for n in range(1000) if shard(f"p{n}") == shard("rsi"))
        store.put(beside, Record())  # what is written over its object says nothing of the loss
    async with opened() as store:
        assert store.lost_records(["rsi", "momentum", "atr", beside]) == ["rsi"]
        assert store.repaired == f"damaged, and left out: {lost}, revision.5"
        store.acknowledge()
    async with opened() as store:
        assert (store.repaired, store.lost_records(["rsi"])) == ("", [])
        assert [each.number for each in store.revisions()] == [4, 6]
        assert store.records() == {beside: Record(), "momentum": Record(generation=2)}


async def test_what_was_lost_is_kept_before_a_leader_does_anything(opened, there):
    async with opened() as store:
        store.put("rsi", Record(stopped_by_hand=True))
    lost = f"records.{shard('rsi')}"
    await there.patch(CONFIG_MAP, f"desk-state-{lost}", {"binaryData": {"body": "AAAA"}})
    lease = ClusterLease(there, "desk", identity=Identity("pod", alone=True))
    async with lease, stored(there, lease, "desk"):
        assert await there.get(SECRET, "desk-state-setting.damage") is not None


async def test_a_damaged_object_is_written_anew_even_if_what_it_says_is_the_same(opened, there):
    async with opened() as store:
        store.set("halts", "all")
    await there.patch(SECRET, "desk-state-setting.halts", {"data": {"body": "AAAA"}})
    async with opened() as store:
        store.set("halts", "all")
    async with opened() as store:
        assert store.setting("halts") == "all"


@pytest.mark.parametrize("noted", [None, "setting.other"])
@pytest.mark.parametrize("text", ["momentum", os.urandom(1_500_000).hex()], ids=["one", "pieces"])
async def test_an_object_whose_notes_are_gone_is_damaged_and_stays(opened, there, noted, text):
    async with opened() as store:
        store.set("halts", text)
        store.set("desired", "a")
    name = "desk-state-setting.halts"
    notes = {f"ntp.dev/{each}": None for each in ("document", "sum", "pieces", "epoch")}
    notes["ntp.dev/document"] = noted
    await there.patch(SECRET, name, {"metadata": {"annotations": notes}})
    before = {name_of(each) for each in (await there.list(SECRET, "ntp.dev/part=state")).items}
    async with opened() as store:
        assert store.repaired == "damaged, and left out: setting.halts"
        assert (store.lost("halts"), store.lost("desired")) == (True, False)
        store.set("desired", "b")
        await written(store)  # and what no head names is swept
        after = {name_of(each) for each in (await there.list(SECRET, "ntp.dev/part=state")).items}
        assert before <= after
        store.set("halts", "all")
        store.acknowledge()
    async with opened() as store:
        assert (store.setting("halts"), store.setting("desired")) == ("all", "b")
        assert (store.repaired, store.setting("other")) == ("", None)


async def test_a_copy_of_an_object_is_not_taken_for_the_object(opened, there):
    async with opened() as store:
        store.set("halts", "nobody")
    copied = await there.get(SECRET, "desk-state-setting.halts")
    async with opened() as store:
        store.set("halts", "all")
    kept = {key: copied["metadata"][key] for key in ("labels", "annotations")}
    own = {key: copied[key] for key in ("data", "type")}
    copy = SECRET.body("desk-state-setting.halts-of-monday", metadata=kept, **own)
    await there.create(SECRET, copy)
    async with opened() as store:
        assert store.setting("halts") == "all"
        store.acknowledge()
    assert await there.get(SECRET, "desk-state-setting.halts-of-monday") is not None


async def test_who_lost_the_lease_writes_nothing_and_goes_on_in_memory(opened):
    async with opened(held=lambda: False) as store:
        store.put("rsi", Record(generation=1))
        assert store.records() == {"rsi": Record(generation=1)}
        with pytest.raises(UnreachableError, match="the lease is not held"):
            await logged_for_ever(store)
    async with opened() as store:
        assert store.records() == {}


async def test_a_leader_of_before_that_wakes_writes_over_nothing(opened):
    """It may still believe that it holds the lease: what it meets is of a higher epoch."""
    async with opened(epoch=1) as old:
        old.set("desired", "old")
        await written(old)
        async with opened(epoch=2) as new:
            new.set("desired", "new")
        old.set("desired", "older")
        with pytest.raises(UnreachableError, match="not written"):
            await logged_for_ever(old)
        assert old.pending
    async with opened(epoch=3) as store:
        assert store.setting("desired") == "new"
        assert store.epoch_before == 2


async def test_the_new_leader_writes_over_what_the_old_one_wrote_meanwhile(opened):
    async with opened(epoch=1) as old, opened(epoch=2) as new:
        old.set("desired", "old")
        await written(old)
        new.set("desired", "new")
        await written(new)
    async with opened() as store:
        assert store.setting("desired") == "new"


async def test_what_was_put_is_kept_before_anybody_is_told(opened, monkeypatch):
    monkeypatch.setattr("orchestrator.store.kubernetes.store.KEEPING_S", 2.0)
    leads = True
    async with opened(held=lambda: leads) as store:
        leads = False
        store.set("halts", "all")
        with pytest.raises(UnreachableError, match=r"could not be kept within 2 s: the lease"):
            await store.kept(setting="halts")
        await store.kept(setting="another")
        leads = True
        store.put("rsi", Record(generation=1, stopped_by_hand=True))
        await store.kept(setting="halts", record="rsi")
        async with opened() as other:
            assert other.setting("halts") == "all"
            assert other.records()["rsi"].stopped_by_hand


async def test_one_that_cannot_be_written_keeps_no_other_from_being_written_at_the_end(there):
    texts = {Document("setting.desired", secret=True): "a", Document("events"): "[]"}

    class Refusing:
        def __getattr__(self, name):
            return getattr(there, name)

        async def create(self, kind, body):
            if kind is SECRET:
                raise ActionError("too large", reason="Invalid")
            return await there.create(kind, body)

    writing = Writing(Refusing(), "desk", epoch=lambda: 1, held=lambda: True, text=texts.get)
    await writing.read()
    for each in texts:
        writing.change(each)
    await writing.finish()
    assert writing.pending == 1
    assert len((await there.list(CONFIG_MAP, "ntp.dev/part=state")).items) == 1


async def test_who_waits_for_several_waits_for_the_slowest_and_not_for_one_after_the_other(there):
    texts = {Document(f"files.{number}", secret=True): "{}" for number in range(2)}
    met = asyncio.Barrier(len(texts))

    class Meeting:
        def __getattr__(self, name):
            return getattr(there, name)

        async def create(self, kind, body):
            await met.wait()
            return await there.create(kind, body)

    writing = Writing(Meeting(), "desk", epoch=lambda: 1, held=lambda: True, text=texts.get)
    await writing.read()
    for each in texts:
        writing.change(each)
    async with beside(writing.run()):
        await writing.written(texts, within_s=20.0)


async def test_who_clears_away_his_pieces_leaves_those_of_a_write_under_way(there):
    long, short = (Document(f"setting.{each}", secret=True) for each in ("long", "short"))
    texts = {long: os.urandom(1_500_000).hex(), short: "b"}
    first, went_on = asyncio.Event(), asyncio.Event()

    class Halting:
        """A cluster that takes the second piece when the other document is written."""

        def __getattr__(self, name):
            return getattr(there, name)

        async def create(self, kind, body):
            if first.is_set() and "long" in body["metadata"]["name"]:
                await went_on.wait()
            made = await there.create(kind, body)
            if "long" in body["metadata"]["name"]:
                first.set()
            return made

    writing = Writing(Halting(), "desk", epoch=lambda: 1, held=lambda: True, text=texts.get)
    await writing.read()
    async with beside(writing.run()):
        writing.change(long)
        await first.wait()
        writing.change(short)
        await writing.written([short], within_s=20.0)
        went_on.set()
        await writing.written([long], within_s=20.0)
    again = Writing(there, "desk", epoch=lambda: 1, held=lambda: True, text=texts.get)
    found, damaged, _ = await again.read()
    assert (found[long.name] == texts[long], damaged) == (True, [])
