"""A copy of what is in a real API server, kept true over broken roads."""

import asyncio

import pytest

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP
from orchestrator.errors import UnreachableError
from tests.integration.cluster.conftest import until


def config_map(name, **data):
    return CONFIG_MAP.body(name, data=data, metadata={"labels": {"ours": "yes"}})


async def names(informer):
    return sorted(name for name in await informer.objects() if name != "kube-root-ca.crt")


async def has(informer, *wanted):
    return await names(informer) == list(wanted)


async def test_it_follows_what_is_made_changed_and_deleted_with_one_list(there):
    await there.create(CONFIG_MAP, config_map("one"))
    informer = there.informer(CONFIG_MAP, "ours=yes")
    changed = asyncio.Event()
    assert await names(informer) == ["one"]
    with informer.listening(changed):
        await there.create(CONFIG_MAP, config_map("two", a="1"))
        await until(lambda: has(informer, "one", "two"))
    assert changed.is_set()
    await there.patch(CONFIG_MAP, "two", {"data": {"a": "2"}})

    async def is_changed():
        return (await informer.objects())["two"]["data"] == {"a": "2"}

    await until(is_changed)
    await there.delete(CONFIG_MAP, "one")
    await until(lambda: has(informer, "two"))
    assert informer.last("one")["metadata"]["name"] == "one"
    assert informer.lists == 1
    assert there.informer(CONFIG_MAP, "ours=yes") is informer


async def test_who_waits_for_one_object_is_not_woken_for_another(there):
    informer = there.informer(CONFIG_MAP, "ours=yes")
    await informer.objects()
    one, two, any_of_them = asyncio.Event(), asyncio.Event(), asyncio.Event()
    with (
        informer.listening(one, "one"),
        informer.listening(two, "two"),
        informer.listening(any_of_them),
    ):
        await there.create(CONFIG_MAP, config_map("two"))
        await until(lambda: has(informer, "two"))
        assert (one.is_set(), two.is_set(), any_of_them.is_set()) == (False, True, True)


async def test_a_write_of_ours_is_seen_at_once_and_never_undone_by_an_older_state(there):
    informer = there.informer(CONFIG_MAP, "ours=yes")
    await informer.objects()
    for number in range(20):
        informer.take(await there.apply(CONFIG_MAP, config_map("one", a=str(number))))
        assert (await informer.objects())["one"]["data"] == {"a": str(number)}


async def test_a_watch_that_breaks_goes_on_without_a_list(road, there):
    async with Cluster(road.place) as far:
        informer = far.informer(CONFIG_MAP, "ours=yes")
        assert await names(informer) == []
        await there.create(CONFIG_MAP, config_map("one"))
        await until(lambda: has(informer, "one"))  # it watches
        road.cut()
        await there.create(CONFIG_MAP, config_map("two"))
        await until(lambda: has(informer, "one", "two"))
        assert informer.lists == 1


async def test_a_watch_that_dies_silently_is_noticed_and_meanwhile_we_are_blind(road, there):
    async with Cluster(road.place, quiet_s=2.0, stale_s=0.0) as far:
        informer = far.informer(CONFIG_MAP, "ours=yes")
        assert await names(informer) == []
        road.block()
        await there.create(CONFIG_MAP, config_map("one"))
        with pytest.raises(UnreachableError):
            await until(lambda: has(informer, "never"))
        road.unblock()
        road.cut()

        async def sees():
            try:
                return await has(informer, "one")
            except UnreachableError:
                return False

        await until(sees)


async def test_a_version_that_is_gone_is_listed_again(road, there):
    async with Cluster(road.place) as far:
        informer = far.informer(CONFIG_MAP, "ours=yes")
        assert await names(informer) == []
        await there.create(CONFIG_MAP, config_map("one"))
        await until(lambda: has(informer, "one"))  # it watches
        informer._version = "1"  # as after a break that lasted for hours
        road.cut()
        await until(lambda: informer.lists == 2)
        await there.create(CONFIG_MAP, config_map("two"))
        await until(lambda: has(informer, "one", "two"))


async def test_what_may_not_be_listed_is_told_in_the_clusters_words(cluster, namespace, tmp_path):
    cluster.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    token = cluster.kubectl("create", "token", "nobody", "-n", namespace).strip()
    config = str(tmp_path / "config")
    text = cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json")
    (tmp_path / "config").write_text(text)
    cluster.kubectl("config", "--kubeconfig", config, "set-credentials", "nobody", "--token", token)
    cluster.kubectl("config", "--kubeconfig", config, "set-context", "--current", "--user=nobody")
    place = following_place(config, namespace)
    async with Cluster(place) as connected:
        with pytest.raises(UnreachableError, match=r"nobody.*cannot list"):
            await connected.informer(CONFIG_MAP).objects()


def following_place(config, namespace):
    from orchestrator.cluster.place import Place

    return Place(kubeconfig=config, namespace=namespace)
