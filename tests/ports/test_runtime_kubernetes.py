"""What only a cluster decides: who restarts, who owns a name, what it refuses, and how little is asked of it."""

import asyncio
import json
import signal
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.cluster.kinds import (
    CLAIM,
    DISRUPTION_BUDGET,
    EVENT,
    NETWORK_POLICY,
    POD,
    SECRET,
    STATEFUL_SET,
    selector,
    version_of,
)
from orchestrator.decide.state import Phase
from orchestrator.errors import ActionError, ConflictError
from orchestrator.launch import Image
from orchestrator.runtime.kubernetes import identity
from orchestrator.spec.model import Resources

RUNTIMES = ("kubernetes",)
MIB = 1024 * 1024
WAIT = "import signal; print('ready'); signal.pause()"
OURS = (STATEFUL_SET, POD, SECRET, NETWORK_POLICY, CLAIM)


async def versions(world):
    """The `resourceVersion` of every object of ours."""
    chosen = selector(identity.ours("trial"))
    return {
        (kind.kind, body["metadata"]["name"]): version_of(body)
        for kind in OURS
        for body in (await world.connected.list(kind, chosen)).items
    }


def apply(world, body):
    world.cluster.kubectl(
        "create", "-n", world.connected.namespace, "-f", "-", stdin=json.dumps(body)
    )


async def settled(world):
    """Wait until the cluster writes no more on what it was told."""
    seen = [await versions(world), {}]

    async def same():
        seen.append(await versions(world))
        await asyncio.sleep(0.5)
        return seen[-1] == seen[-2]

    await world.until(same)
    return seen[-1]


async def test_a_second_pass_writes_nothing_and_lists_nothing(world):
    await world.run("alpha", WAIT, storage=MIB)
    before = await settled(world)
    assert {kind for kind, _ in before} == {each.kind for each in OURS}
    chosen = selector(identity.ours("trial"))
    for _ in range(5):
        await world.runtime.observe()
        await world.runtime.start(world.launch("alpha", WAIT, storage=MIB))
        await world.again().start(world.launch("alpha", WAIT, storage=MIB))
    assert await versions(world) == before
    lists = [world.connected.informer(kind, chosen).lists for kind in (STATEFUL_SET, POD)]
    assert lists == [1, 1], "for all of this test"


async def test_what_would_be_applied_again_is_what_is_there(world):
    """Fields that the cluster fills in cause no difference."""
    await world.run("alpha", WAIT, storage=MIB)
    before = await settled(world)
    seen = await world.runtime._look.of("alpha")
    births, launch = world.runtime._births, world.launch("alpha", WAIT, storage=MIB)
    await births._equip(launch, await births._shape(launch, seen.workload))
    assert await versions(world) == before


@pytest.mark.parametrize("kind", [STATEFUL_SET, SECRET])
async def test_a_name_that_is_somebody_elses_is_left_alone_and_its_owner_named(world, kind):
    labels = {"app": "theirs"}
    pods = {"selector": {"matchLabels": labels}, "replicas": 0, "serviceName": "x"}
    pods["template"] = {"metadata": {"labels": labels}, "spec": {"containers": []}}
    container = {"name": "c", "image": "none"}
    pods["template"]["spec"]["containers"].append(container)
    body = kind.body("alpha", **({"spec": pods} if kind is STATEFUL_SET else {}))
    apply(world, body)
    before = await world.connected.get(kind, "alpha")
    with pytest.raises(ConflictError, match=r"not ours, it belongs to kubectl"):
        await world.runtime.start(world.launch("alpha", WAIT))
    after = await world.connected.get(kind, "alpha")
    assert (after.get("spec"), after.get("data")) == (before.get("spec"), before.get("data"))
    assert "labels" not in after["metadata"]
    assert await versions(world) == {}
    world.cluster.kubectl("delete", kind.plural, "alpha", "-n", world.connected.namespace)


async def test_the_platform_restarts_who_was_killed_and_tells_how_the_life_before_ended(world):
    before = await world.run("alpha", WAIT)
    world.signal("alpha", signal.SIGKILL)

    async def again():
        seen = await world.see("alpha")
        return seen.phase is Phase.RUNNING and seen.id != before.id and seen

    after = await world.until(again)
    assert (after.last_life, after.last_exit.signal) == (before.id, signal.SIGKILL)
    assert after.begun_again


async def test_a_pod_that_was_deleted_comes_back_while_no_controller_is_there(world):
    before = await world.run("alpha", WAIT)
    name = identity.pod_name("alpha")
    world.cluster.kubectl("delete", "pod", name, "-n", world.connected.namespace, "--wait=false")

    async def again():
        seen = await world.see("alpha")
        return seen.phase is Phase.RUNNING and seen.id != before.id and seen

    after = await world.until(again)
    assert (after.generation, after.attempt) == (1, 1)
    assert after.last_life == before.id


async def test_who_crashes_again_and_again_stays_down_once_it_is_stopped(world):
    await world.run("alpha", "raise SystemExit(3)")
    end = await world.ended("alpha")
    assert (end.code, (await world.see("alpha")).rests) == (3, False)
    await world.stop("alpha", 0.0)
    seen = await world.see("alpha")
    assert (seen.phase, seen.rests, seen.exit.reason) == (Phase.EXITED, True, "Stopped")
    assert world.processes("alpha") == set()


async def test_limits_that_somebody_changed_are_drift_and_are_ours_again_after_an_update(world):
    small = Resources(memory=64 * MIB, cpu=1.0, pids=32, tmp=MIB)
    before = await world.run("alpha", WAIT, resources=small)
    more = {"limits": {"memory": "128Mi"}, "requests": {"memory": "128Mi"}}
    change = {"spec": {"containers": [{"name": identity.CONTAINER, "resources": more}]}}
    where = ("-n", world.connected.namespace, "--subresource", "resize", "-p", json.dumps(change))
    world.cluster.kubectl("patch", "pod", identity.pod_name("alpha"), *where)

    async def drifted():
        return (await world.see("alpha")).drift

    told = await world.until(drifted)
    assert told.startswith("its limits: memory 128 MiB")
    await world.runtime.update("alpha", small)
    after = await world.see("alpha")
    assert (after.drift, after.usage.memory_limit, after.id) == ("", 64 * MIB, before.id)


async def test_limits_that_were_changed_in_place_hold_for_the_next_pod_too(world):
    before = await world.run("alpha", WAIT)
    more = Resources(memory=96 * MIB, cpu=0.5, pids=32, tmp=MIB)
    await world.runtime.update("alpha", more)
    assert (await world.see("alpha")).id == before.id
    name = identity.pod_name("alpha")
    world.cluster.kubectl("delete", "pod", name, "-n", world.connected.namespace, "--wait=false")

    async def again():
        seen = await world.see("alpha")
        return seen.phase is Phase.RUNNING and seen.id != before.id and seen.usage.memory_limit

    assert await world.until(again) == 96 * MIB
    assert (await world.see("alpha")).drift == ""


async def test_an_image_that_cannot_be_fetched_is_told_and_another_generation_replaces_it(world):
    python = world.cluster.python()
    absent = Image(f"registry.invalid/absent@sha256:{'0' * 64}", frozenset())
    launch = world.launch("alpha", WAIT, environment=replace(python, image=absent))
    with pytest.raises(ActionError, match=r"registry\.invalid") as refused:
        await world.runtime.start(launch)
    assert refused.value.reason in {"ErrImagePull", "ImagePullBackOff"}
    assert (await world.see("alpha")).phase is Phase.CREATED
    seen = await world.run("alpha", WAIT, generation=2)
    assert (seen.generation, seen.phase) == (2, Phase.RUNNING)


async def test_a_pod_that_no_node_takes_is_told_in_the_clusters_words(world):
    nowhere = {"node_selector": {"disk": "none-has-it"}}
    with pytest.raises(ActionError, match="node") as refused:
        await world.runtime.start(world.launch("alpha", WAIT, scheduling=nowhere))
    assert refused.value.reason == "Unschedulable"
    async with aclosing(world.runtime.logs("alpha", follow=False, tail=9)) as lines:
        assert [line async for line in lines] == []
    await world.stop("alpha", 0.0)
    assert (await world.see("alpha")).rests


async def test_a_quota_that_leaves_no_room_is_told_in_the_clusters_words(world):
    hard = {"hard": {"pods": "0"}}
    apply(
        world,
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard},
    )
    with pytest.raises(ActionError, match="exceeded quota") as refused:
        await world.runtime.start(world.launch("alpha", WAIT))
    assert refused.value.reason == "QuotaExceeded"


@pytest.mark.parametrize("generation", [1, 2])
async def test_a_start_that_ends_before_its_files_are_written_runs_nothing_until_another_is_done(
    world, generation
):
    hard = {"hard": {"secrets": "0"}}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard}
    apply(world, body)
    where = ("-n", world.connected.namespace)
    world.cluster.kubectl(
        "wait", "--for=jsonpath={.status.hard.secrets}=0", "quota/q", *where, "--timeout=60s"
    )
    with pytest.raises(ActionError, match="quota"):
        await world.runtime.start(world.launch("alpha", WAIT))
    assert await world.connected.get(NETWORK_POLICY, "alpha") is not None

    async def told():
        chosen = f"involvedObject.name={identity.pod_name('alpha')},reason=FailedMount"
        return (await world.connected.list(EVENT, fields=chosen)).items

    await world.until(told)
    assert (await world.see("alpha")).phase is Phase.CREATED
    world.cluster.kubectl("delete", "quota", "q", *where)
    seen = await world.run("alpha", WAIT, generation=generation)
    assert (seen.generation, seen.phase) == (generation, Phase.RUNNING)


async def test_who_is_not_to_be_evicted_has_a_budget_until_that_changes(world):
    kept = {"evictable": False}
    await world.run("alpha", WAIT, scheduling=kept)
    budget = await world.connected.get(DISRUPTION_BUDGET, "alpha")
    assert budget["spec"]["maxUnavailable"] == 0
    await world.stop("alpha")
    await world.run("alpha", WAIT, generation=2)
    assert await world.connected.get(DISRUPTION_BUDGET, "alpha") is None


async def test_a_plugin_holds_nothing_that_it_was_not_given(world):
    look = """
import os, signal
status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
print([status[key].strip() for key in ('CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp')])
print(os.getuid() > 1_000_000_000, os.getgid() == os.getuid())
print(os.path.exists('/var/run/secrets'), [name for name in os.environ if 'SERVICE' in name and 'KUBERNETES' not in name])
for place in ('/', '/run/ntp', '/opt'):
    try:
        open(place + '/x', 'w')
        print('wrote to', place)
    except OSError:
        pass
print('ready')
signal.pause()
"""
    service = {"spec": {"ports": [{"port": 80}], "selector": {"app": "any"}}}
    apply(world, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "near"}, **service})
    await world.run("alpha", look)
    assert await world.lines("alpha") == [
        "['0000000000000000', '0000000000000000', '1', '2']",
        "True True",
        "False []",
        "ready",
    ]


async def test_every_object_says_what_wrote_it_and_goes_with_its_workload(world):
    await world.run("alpha_one", WAIT, epoch=7)
    objects = {
        kind: await world.connected.get(kind, "alpha-one")
        for kind in (STATEFUL_SET, SECRET, NETWORK_POLICY)
    }
    workload = objects[STATEFUL_SET]
    for body in objects.values():
        assert body["metadata"]["annotations"][identity.EPOCH] == "7"
        assert body["metadata"]["labels"]["app.kubernetes.io/component"] == "strategy"
    for kind in (SECRET, NETWORK_POLICY):
        [owner] = objects[kind]["metadata"]["ownerReferences"]
        assert owner["uid"] == workload["metadata"]["uid"]
    world.cluster.kubectl("delete", "statefulset", "alpha-one", "-n", world.connected.namespace)
    await world.until(lambda: not world.leftovers())
    assert await world.see("alpha_one") is None


async def test_a_stop_asked_for_by_one_who_died_is_brought_to_an_end_by_the_next(world):
    await world.run("alpha", WAIT)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        grace = timedelta(seconds=600)
        task = group.create_task(world.runtime.stop("alpha", grace=grace, cause="first"))
        await world.until_phase("alpha", Phase.STOPPING)
        task.cancel()
    await world.again().stop("alpha", grace=timedelta(0), cause="second")
    assert (await world.ended("alpha")).message == "second"


async def test_a_second_stop_with_less_grace_ends_with_the_first(world):
    """A kubelet that has begun a stop hears of no shorter one: nobody may be told that its node is away."""
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready')\nwhile True: signal.pause()"
    await world.run("alpha", stubborn)
    async with asyncio.TaskGroup() as group:
        group.create_task(world.stop("alpha", 5.0))
        await world.until_phase("alpha", Phase.STOPPING)
        group.create_task(world.stop("alpha", 0.0))
    assert (await world.ended("alpha")).signal == signal.SIGKILL
