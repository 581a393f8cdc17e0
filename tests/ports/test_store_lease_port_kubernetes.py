"""At most one holder, whose epoch is larger than any before: of a Lease, with real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP, LEASE
from orchestrator.cluster.place import Place
from orchestrator.errors import ConflictError
from orchestrator.store.kubernetes.lease import ClusterLease, Identity, Tempo

QUICK = Tempo(timedelta(seconds=3), timedelta(seconds=2), timedelta(seconds=0.4))
WITHIN_S = 40.0

HOLDER = textwrap.dedent(
    """
    import asyncio, sys
    import structlog
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    from datetime import timedelta
    from orchestrator.cluster.cluster import Cluster
    from orchestrator.cluster.kinds import CONFIG_MAP
    from orchestrator.cluster.place import Place
    from orchestrator.errors import NtpError, UnreachableError
    from orchestrator.store.kubernetes.lease import ClusterLease, Identity, Tempo

    async def main(namespace, name, lasts, within, retry):
        place = Place(namespace=namespace)
        tempo = Tempo(*(timedelta(seconds=float(each)) for each in (lasts, within, retry)))
        async with Cluster(place) as own:
            lease = ClusterLease(own, "desk", identity=Identity(name, alone=False), tempo=tempo)
            async with lease, Cluster(place, guard=lease.check) as guarded:
                print("held", lease.epoch, flush=True)
                count = 0
                while True:
                    count += 1
                    body = CONFIG_MAP.body("mark", data={"by": name, "count": str(count)})
                    try:
                        await guarded.apply(CONFIG_MAP, body, force=True)
                    except UnreachableError:
                        continue  # its answer was not read before we were paused
                    except NtpError as error:
                        print("refused", type(error).__name__, lease.held(), flush=True)
                        return
                    await asyncio.sleep(0.02)

    asyncio.run(main(*sys.argv[1:]))
    """
)


@pytest.fixture
async def there(cluster, namespace):
    async with Cluster(Place(kubeconfig=cluster.kubeconfig, namespace=namespace)) as there:
        yield there


@pytest.fixture
def holder(cluster, namespace):
    """Start a process that holds the Lease when it can, and writes without pause while it does."""

    @contextmanager
    def holder(name, lasts=3, within=2, retry=0.4):
        words = [namespace, name, *map(str, (lasts, within, retry))]
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, *words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KUBECONFIG": cluster.kubeconfig},
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return holder


async def renewed(there, times):
    """Wait until its holder has renewed the Lease so often."""
    seen = set()
    async with asyncio.timeout(WITHIN_S):
        while len(seen) <= times:
            seen.add((await there.get(LEASE, "desk"))["spec"]["renewTime"])
            await asyncio.sleep(0.05)


def pod(name):
    return Identity(name, alone=True)


async def told(process):
    async with asyncio.timeout(WITHIN_S):
        return (await asyncio.to_thread(process.stdout.readline)).split()


async def test_each_holder_has_a_larger_epoch_and_one_that_leaves_is_not_waited_for(there):
    began, epochs = time.monotonic(), []
    for number in range(3):
        async with ClusterLease(there, "desk", identity=pod(f"pod{number}")) as lease:
            assert lease.held()
            epochs.append(lease.epoch)
        assert not lease.held()
    assert epochs == [1, 2, 3]
    assert time.monotonic() - began < 15.0, "a lease that was given back is free"


async def test_a_second_one_waits_and_says_who_holds_it(there):
    async with ClusterLease(there, "desk", identity=pod("first"), tempo=QUICK) as first:
        second = ClusterLease(there, "desk", identity=pod("second"), tempo=QUICK)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0), second:
                pass
        assert second.holder.startswith("first_")
        assert first.held()
        assert not second.held()


async def test_a_container_that_was_started_anew_in_its_pod_waits_for_nobody(there):
    old = ClusterLease(there, "desk", identity=pod("pod"), tempo=QUICK)
    await old.__aenter__()
    async with asyncio.timeout(5.0), ClusterLease(there, "desk", identity=pod("pod")) as lease:
        assert lease.epoch == 2
        async with asyncio.timeout(5.0):
            await old.lost()
    await old.__aexit__()


async def test_two_on_one_machine_are_two_and_one_process_is_one(there):
    first, second = (Identity("laptop", alone=False) for _ in range(2))
    async with ClusterLease(there, "desk", identity=first, tempo=QUICK) as lease:
        waiting = ClusterLease(there, "desk", identity=second, tempo=QUICK)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4.0), waiting:
                pass
        assert lease.held()
        # Its own lease of before, that it lost without giving it back.
        again = ClusterLease(there, "desk", identity=first, tempo=QUICK)
        async with asyncio.timeout(2.0), again:
            assert again.epoch == 2


async def test_a_label_that_somebody_puts_on_it_takes_it_from_nobody(there):
    async with ClusterLease(there, "desk", identity=pod("pod"), tempo=QUICK) as lease:
        await there.patch(LEASE, "desk", {"metadata": {"labels": {"team": "fx"}}})
        await renewed(there, 4)
        assert lease.held()
        body = await there.get(LEASE, "desk")
        assert body["metadata"]["labels"]["team"] == "fx"


async def test_a_lease_that_is_deleted_is_lost_and_the_next_epoch_can_be_raised(there):
    async with ClusterLease(there, "desk", identity=pod("pod"), tempo=QUICK) as lease:
        await there.delete(LEASE, "desk")
        async with asyncio.timeout(10.0):
            await lease.lost()
        with pytest.raises(ConflictError, match="nothing is changed any more"):
            lease.check()
    async with ClusterLease(there, "desk", identity=pod("other"), tempo=QUICK) as lease:
        await lease.raise_to(8)
        assert lease.epoch == 8
    async with ClusterLease(there, "desk", identity=pod("third"), tempo=QUICK) as lease:
        assert lease.epoch == 9


async def test_a_holder_that_cannot_renew_stops_acting_before_anybody_may_take_it(there):
    now = [100.0]
    async with ClusterLease(
        there, "desk", identity=pod("pod"), clock=lambda: now[0]
    ) as lease:  # 15, 10, 2 s
        now[0] += 9.9
        assert lease.held()
        now[0] += 0.2
        assert not lease.held()


async def test_a_killed_leader_is_followed_within_twenty_seconds(there, holder):
    with holder("one", 15, 10, 2) as leader:
        assert await told(leader) == ["held", "1"]
        with holder("two", 15, 10, 2) as follower:
            await renewed(there, 2)  # and has been seen to
            leader.kill()
            killed = time.monotonic()
            assert await told(follower) == ["held", "2"]
        took = time.monotonic() - killed
        print(f"fail-over after kill -9: {took:.1f} s")
        assert took < 20.0


async def test_a_leader_that_was_paused_wakes_and_does_nothing(there, holder):
    with holder("old") as old:
        assert await told(old) == ["held", "1"]
        await marked_by(there, "old")
        old.send_signal(signal.SIGSTOP)
        with holder("new") as new:
            assert await told(new) == ["held", "2"]
            await marked_by(there, "new")
            old.send_signal(signal.SIGCONT)
            assert await told(old) == ["refused", "ConflictError", "False"]
            for _ in range(20):
                assert (await there.get(CONFIG_MAP, "mark"))["data"]["by"] == "new"
                await asyncio.sleep(0.05)


async def marked_by(there, name):
    async with asyncio.timeout(WITHIN_S):
        while True:
            mark = await there.get(CONFIG_MAP, "mark")
            if mark is not None and mark["data"]["by"] == name:
                return
            await asyncio.sleep(0.05)


class Deaf(Cluster):
    """One whose next renewal is never answered, on the connection that it was asked by."""

    deaf = False

    async def replace(self, kind, body, *, subresource=""):
        if self.deaf:
            self.deaf = False
            await asyncio.Event().wait()
        return await super().replace(kind, body, subresource=subresource)


async def test_one_renewal_that_is_not_answered_leaves_time_for_another(cluster, namespace):
    async with (
        Deaf(Place(kubeconfig=cluster.kubeconfig, namespace=namespace)) as there,
        ClusterLease(there, "desk", identity=pod("pod"), tempo=QUICK) as lease,
    ):
        there.deaf = True
        before = (await there.get(LEASE, "desk"))["spec"]["renewTime"]
        async with asyncio.timeout(10.0):
            while (await there.get(LEASE, "desk"))["spec"]["renewTime"] == before:
                await asyncio.sleep(0.1)
        assert not there.deaf
        assert lease.held()
