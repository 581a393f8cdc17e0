"""Reading and changing objects of a real API server."""

import pytest

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import CONFIG_MAP, POD, SECRET, Kind, version_of
from orchestrator.cluster.place import Place
from orchestrator.cluster.refusals import ExpiredError, OwnedError
from orchestrator.errors import ActionError, ConfigError, ConflictError, UnreachableError


def config_map(name, **data):
    return CONFIG_MAP.body(name, data=data)


async def test_what_is_applied_twice_is_written_once(there):
    made = await there.apply(CONFIG_MAP, config_map("one", a="1", b="2"))
    again = await there.apply(CONFIG_MAP, config_map("one", a="1", b="2"))
    assert version_of(made) == version_of(again)
    less = await there.apply(CONFIG_MAP, config_map("one", a="1"))
    assert less["data"] == {"a": "1"}
    assert (await there.get(CONFIG_MAP, "one"))["data"] == {"a": "1"}


async def test_what_would_be_written_can_be_asked_for(there):
    would = await there.apply(CONFIG_MAP, config_map("one", a="1"), dry=True)
    assert would["data"] == {"a": "1"}
    assert await there.get(CONFIG_MAP, "one") is None


async def test_fields_of_another_manager_are_theirs_unless_taken(there, cluster):
    text = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "theirs"}}'
    cluster.kubectl(
        "apply",
        "-n",
        there.namespace,
        "--server-side",
        "--field-manager=argo",
        "-f",
        "-",
        stdin=text,
    )
    with pytest.raises(OwnedError, match="argo") as refused:
        await there.apply(CONFIG_MAP, config_map("one", a="ours"))
    assert refused.value.managers == ("argo",)
    taken = await there.apply(CONFIG_MAP, config_map("one", a="ours"), force=True)
    assert taken["data"] == {"a": "ours"}


async def test_a_name_is_taken_once(there):
    await there.create(CONFIG_MAP, config_map("one"))
    with pytest.raises(ConflictError, match="already exists"):
        await there.create(CONFIG_MAP, config_map("one"))


async def test_who_read_an_older_state_cannot_write_over_a_newer_one(there):
    old = await there.create(CONFIG_MAP, config_map("one", a="1"))
    await there.patch(CONFIG_MAP, "one", {"data": {"a": "2", "b": None}})
    with pytest.raises(ConflictError, match="modified"):
        await there.replace(CONFIG_MAP, {**old, "data": {"a": "3"}})
    assert (await there.get(CONFIG_MAP, "one"))["data"] == {"a": "2"}


async def test_only_the_very_object_that_was_meant_is_deleted(there):
    first = await there.create(CONFIG_MAP, config_map("one"))
    assert await there.delete(CONFIG_MAP, "one")
    assert not await there.delete(CONFIG_MAP, "one")
    await there.create(CONFIG_MAP, config_map("one"))
    with pytest.raises(ConflictError):
        await there.delete(CONFIG_MAP, "one", uid=first["metadata"]["uid"])
    assert await there.get(CONFIG_MAP, "one") is not None


async def test_a_list_comes_in_pages_and_is_of_one_kind(there):
    for number in range(5):
        label = {"labels": {"even": str(number % 2 == 0).lower()}}
        await there.create(SECRET, SECRET.body(f"s{number}", metadata=label))
    listing = await there.list(SECRET, page=2)
    assert sorted(each["metadata"]["name"] for each in listing.items) == [f"s{n}" for n in range(5)]
    assert {each["kind"] for each in listing.items} == {"Secret"}
    assert len((await there.list(SECRET, "even=true")).items) == 3
    assert int(listing.version) > 0


async def test_a_refusal_has_the_clusters_words_and_our_reason(there, cluster):
    pod = POD.body("root", spec={"containers": [{"name": "c", "image": "none"}]})
    with pytest.raises(ActionError, match="runAsNonRoot") as refused:
        await there.create(POD, pod)
    assert refused.value.reason == "PodSecurityRefused"
    quota = '{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"count/secrets": "0"}}}'
    cluster.kubectl("create", "-n", there.namespace, "-f", "-", stdin=quota)
    with pytest.raises(ActionError) as refused:
        await _until_refused(there)
    assert refused.value.reason == "QuotaExceeded"
    with pytest.raises(ActionError, match="data") as refused:
        await there.apply(CONFIG_MAP, CONFIG_MAP.body("one", data="text"))
    assert (refused.value.reason, refused.value.permanent) == ("Invalid", True)


async def _until_refused(there):
    """A quota is counted a moment after it was made."""
    for number in range(200):
        await there.create(SECRET, SECRET.body(f"s{number}"))


async def test_a_version_that_is_gone_says_so(there):
    with pytest.raises(ExpiredError):
        async for _ in there.watch(CONFIG_MAP, "", "1"):
            pass


async def test_it_knows_which_kinds_are_served(there):
    assert await there.serves(CONFIG_MAP)
    assert await there.serves(POD, "resize")
    assert not await there.serves(POD, "nothing")
    assert not await there.serves(Kind("nothing.example/v1", "Thing", "things"))
    assert (await there.version()).startswith("v1.")


async def test_a_server_that_is_not_there_is_unreachable(tmp_path, there, cluster):
    config = cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json")
    (tmp_path / "config").write_text(config.replace(there.address, "https://127.0.0.1:1"))
    async with Cluster(Place(kubeconfig=str(tmp_path / "config"))) as nowhere:
        assert nowhere.namespace == "default"
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1"):
            await nowhere.list(POD)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place(kubeconfig="nowhere/config"), "no kubeconfig is there"),
        (Place(context="moon"), "context 'moon' cannot be used"),
    ],
)
async def test_a_kubeconfig_that_is_no_good_is_told_with_its_place(place, words, cluster):
    if place.context:
        place = Place(kubeconfig=cluster.kubeconfig, context=place.context)
    with pytest.raises(ConfigError, match=words) as refused:
        await Cluster(place).__aenter__()
    assert refused.value.problems[0].file == place.files
