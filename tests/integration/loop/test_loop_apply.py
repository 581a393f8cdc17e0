"""From files to what runs, with the fewest steps between."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.decide.report import Preview, Progress
from orchestrator.errors import ActionError, ConflictError
from tests.worlds.house import FLEET, NAMES, TEMPO, finish
from tests.worlds.memory import (
    MemoryRuntime,
    eventually,
)
from tests.worlds.memory_bus import MemoryBroker, MemoryBus


async def test_an_apply_starts_everything_and_says_so(house):
    async with house.controlled():
        preview, progress, outcome = await house.apply()
        assert isinstance(preview, Preview)
        assert [change.do.value for change in preview.changes] == ["start"] * 4
        assert outcome.ready, outcome.waiting
        assert {each.name for each in outcome.plugins} == NAMES
        assert all(isinstance(each, Progress) for each in progress)
        assert house.machine.running() == NAMES | {"broker"}
        assert house.machine.history[0] == ("start", "broker")
        assert house.machine.history[-1] == ("start", "binance_data"), "the source comes last"


async def test_an_apply_prepares_a_plugin_once_for_all_its_entries(house):
    entries = (f"    - {{name: entry_{number}, plugin: momentum}}\n" for number in range(20))
    async with house.controlled():
        *_, outcome = await house.apply(f"plugins:\n  strategies:\n{''.join(entries)}")
        assert outcome.ready, outcome.waiting
        assert house.catalog.prepared == ["momentum"]


async def test_an_apply_says_what_the_broker_waits_for(house):
    house.machine.refuse["broker"] = ActionError("no room", reason="StartRefused")
    async with house.controlled():
        *_, outcome = await house.apply(deadline=timedelta(seconds=1))
    assert not outcome.ready
    assert str(outcome.waiting[0].message) == "StartRefused: no room"
    assert [each.name for each in outcome.waiting[1:]] == sorted(NAMES)


async def test_an_apply_blames_no_broker_that_runs(house):
    async with house.controlled() as controller:
        await house.apply()
        house.machine.unkillable.add("broker")
        second = timedelta(seconds=1)
        await finish(controller.restart("broker", wait=True, deadline=second))
        house.machine.refuse["momentum"] = ActionError("no room", reason="StartRefused")
        changed = FLEET.replace("lookback: 14", "lookback: 15")
        *_, outcome = await house.apply(changed, deadline=second)
    assert [each.name for each in outcome.waiting] == ["momentum"]


async def test_a_launch_has_config_inputs_credentials_and_labels(house):
    async with house.controlled() as controller:
        await house.apply()
        launch, file = house.machine.launches["bollinger"], house.machine.file("bollinger")
        assert file.config == {"period": 20, "std_dev": 2.0}
        assert [each.instance for each in file.inputs] == ["binance_data", "paper"]
        assert file.bus.servers == ["nats://127.0.0.1:4222"]
        assert launch.files["bus.creds"] == b"creds of bollinger"
        assert [str(host) for host in launch.egress] == ["127.0.0.1:4222"]
        assert (launch.project, launch.generation, launch.attempt) == ("desk", 1, 1)
        assert launch.epoch == (await controller.info()).epoch
        assert house.machine.file("paper").storage == "/storage"


async def test_a_launch_names_every_server_of_a_cluster_and_reaches_those_alone(house):
    house.broker = MemoryBroker(house.machine, external=True)
    house.broker.address = lambda: "one:4222,[::1]:4223"
    house.bus = MemoryBus(house.machine, broker=None)
    async with house.controlled():
        await house.apply()
        launch, file = house.machine.launches["bollinger"], house.machine.file("bollinger")
        assert file.bus.servers == ["nats://one:4222", "nats://[::1]:4223"]
        assert [(each.host, each.port) for each in launch.egress] == [("one", 4222), ("::1", 4223)]
        assert launch.private == launch.egress


async def test_a_removal_says_that_storage_is_kept_where_there_is_some(house):
    async with house.controlled():
        await house.apply()
        fewer = FLEET[: FLEET.index("    - name: momentum")]
        removed = {c.name: c.cause for c in (await house.preview(fewer)).changes if not c.kind}
        assert removed == {
            "momentum": "no longer in plugins.yaml",
            "paper": "no longer in plugins.yaml; its storage is kept",
        }


async def test_applying_the_same_again_changes_nothing(house):
    async with house.controlled():
        await house.apply()
        before = list(house.machine.history)
        preview, _, outcome = await house.apply()
        assert outcome.ready
        assert not preview.differs
        assert house.machine.history == before
        assert len(await house.controller.revisions()) == 1


async def test_a_look_just_made_will_do_unless_something_was_heard_since(house):
    async with house.controlled():
        await house.apply()
        loop = house.controller._loop

        async def looks(*, within):
            before = loop.begun
            await loop.refresh(within=within)
            return loop.begun - before

        assert await looks(within=timedelta()) >= 1
        for _ in range(100):  # the last beats of the start may still come
            await loop.refresh()
            if await looks(within=timedelta(hours=1)) == 0:
                break
        else:
            pytest.fail("it looks again and again")
        loop.agenda.mark("momentum")
        assert await looks(within=timedelta(hours=1)) >= 1


async def test_a_changed_config_restarts_one_plugin_and_names_the_change(house):
    async with house.controlled():
        await house.apply()
        changed = FLEET.replace("period: 20", "period: 30")
        preview = await house.preview(changed)
        assert [(c.name, c.do.value, c.cause) for c in preview.changes if c.do != "keep"] == [
            ("bollinger", "recreate", "config.period 20 -> 30")
        ]
        before = len(house.machine.history)
        _, _, outcome = await house.apply(changed)
        assert outcome.ready
        assert house.machine.history[before:] == [("stop", "bollinger"), ("start", "bollinger")]
        assert house.machine.file("bollinger").config["period"] == 30
        assert house.machine.instances["bollinger"].generation == 2


async def test_a_changed_egress_is_told_host_by_host_and_any_kind_gets_its_network(house):
    def reaching(*urls):
        return FLEET.replace("period: 20", f"period: 20, urls: {list(urls)}")

    async with house.controlled():
        await house.apply(reaching("https://a.example/x", "https://b.example/x"))
        launch = house.machine.launches["bollinger"]
        assert [str(host) for host in launch.egress[1:]] == ["a.example:443", "b.example:443"]
        assert launch.inet
        assert not house.machine.launches["momentum"].inet
        text = reaching("https://a.example/x", "https://c.example/x")
        (change,) = [each for each in (await house.preview(text)).changes if each.do != "keep"]
        assert change.cause.startswith("egress +c.example:443 -b.example:443, ")
        assert change.egress == ("a.example:443", "c.example:443")
        assert (await house.status("bollinger")).egress == ("a.example:443", "b.example:443")


async def test_other_limits_are_set_in_place(house):
    async with house.controlled():
        await house.apply()
        life = house.machine.instances["bollinger"].id
        changed = FLEET.replace(
            "config: {period", "resources: {memory: 1GB}\n      config: {period"
        )
        preview, _, outcome = await house.apply(changed)
        assert [c.cause for c in preview.changes if c.do == "update"] == [
            "resources.memory 512 MiB -> 1 GiB"
        ]
        assert outcome.ready
        await eventually(lambda: ("update", "bollinger") in house.machine.history)
        assert house.machine.instances["bollinger"].id == life
        assert house.machine.instances["bollinger"].usage.memory_limit == 1 << 30
        await house.apply(changed)
        assert house.machine.history.count(("update", "bollinger")) == 1


LARGER = FLEET.replace("config: {period", "resources: {memory: 1GB}\n      config: {period")


async def test_an_end_under_other_limits_is_told_and_counted(house):
    """Who raised the limit after an OOM kill, and still not enough, reads of the next one too."""
    async with house.controlled():
        await house.apply()
        await house.apply(LARGER)
        await eventually(lambda: ("update", "bollinger") in house.machine.history)
        assert (await house.status("bollinger")).generation == 2
        house.machine.end("bollinger", signal=9, oom=True, memory_peak=1 << 30)
        status = await house.until("bollinger", lambda each: each.last_exit and each.ready)
        assert status.last_exit.oom
        assert status.restarts == 1
        assert "OOMKilled" in await house.reasons("bollinger")


async def test_limits_that_the_kernel_refuses_leave_the_plugin_running(house):
    async with house.controlled():
        await house.apply()
        there = house.machine.instances["bollinger"]
        house.machine.instances["bollinger"] = replace(
            there, usage=replace(there.usage, memory=300 << 20)
        )
        changed = FLEET.replace(
            "config: {period", "resources: {memory: 256MB}\n      config: {period"
        )
        _, _, outcome = await house.apply(changed)
        assert not outcome.ready
        status = await house.until("bollinger", lambda each: each.state == "Refused")
        assert "LimitRefused: the limit is below what is used" in status.message
        assert house.machine.instances["bollinger"].id == there.id


async def test_an_entry_that_is_gone_is_stopped_and_removed(house):
    async with house.controlled():
        await house.apply()
        without = (
            FLEET[: FLEET.index("    - name: momentum")] + FLEET[FLEET.index("  executors:") :]
        )
        _, _, outcome = await house.apply(without)
        assert outcome.ready
        await eventually(lambda: "momentum" not in house.machine.instances)
        await eventually(lambda: "momentum" not in house.broker.ensured[-1])


async def test_a_plan_that_is_out_of_date_is_refused(house):
    async with house.controlled():
        await house.apply(expect=0)
        with pytest.raises(
            ConflictError, match="revision 1 is applied, your plan was made for none"
        ):
            await house.apply(FLEET.replace("20", "30"), expect=0)
        await house.apply(FLEET.replace("20", "30"), expect=1)


async def test_another_runtime_than_the_first_is_refused_with_words(house):
    async with house.controlled():
        await house.apply()
    house.runtime = MemoryRuntime(house.machine, name="docker")
    async with house.controlled():
        with pytest.raises(ActionError, match="`ntpctl down` with 'memory' first"):
            await house.apply(FLEET.replace("20", "30"))


async def test_an_external_broker_is_not_started(house):
    house.broker = MemoryBroker(house.machine, external=True)
    house.bus = MemoryBus(house.machine, broker=None)
    async with house.controlled():
        _, _, outcome = await house.apply()
        assert outcome.ready
        assert house.machine.running() == NAMES


async def test_a_bus_that_moved_takes_everybody_along(house):
    async with house.controlled():
        await house.apply()
        house.broker.port = 5222
        await eventually(
            lambda: house.machine.file("paper").bus.servers == ["nats://127.0.0.1:5222"]
        )
        outcome = await finish(house.controller.wait(None, deadline=timedelta(seconds=8)))
        assert outcome.ready


async def test_a_rollback_is_an_apply_of_the_old_files_with_their_digests(house):
    async with house.controlled() as controller:
        await house.apply()
        house.catalog.digests["bollinger"] = "sha256:newer"
        await house.apply(FLEET.replace("period: 20", "period: 30"))
        first = (await controller.revisions())[0]
        told = await house.preview(first.sources[0][1], pins=first.resolved)
        assert [(c.name, c.do.value, c.cause) for c in told.changes if c.do != "keep"] == [
            (
                "bollinger",
                "recreate",
                "image sha256:newer -> sha256:bollinger, config.period 30 -> 20",
            )
        ]
        _, _, outcome = await house.apply(first.sources[0][1], pins=first.resolved)
        assert outcome.ready
        assert house.machine.file("bollinger").config["period"] == 20
        assert (await controller.revisions())[-1].resolved["bollinger"] == "sha256:bollinger"


async def test_a_tag_means_what_was_applied_until_it_is_asked_anew(house):
    name = "registry.example.com/desk/momentum:latest"
    fleet = FLEET.replace("- name: momentum", f"- name: momentum\n      image: {name}", 1)
    async with house.controlled():
        first = await house.preview(fleet)
        assert first.images == {"momentum": f"{name}@sha256:first"}
        await house.apply(fleet)
        house.catalog.tags[name] = "sha256:second"
        assert (await house.preview(fleet)).images == first.images
        anew = await house.preview(fleet, update_images=True)
        assert anew.images == {"momentum": f"{name}@sha256:second"}
        # To look is not to apply.
        assert (await house.preview(fleet)).images == first.images


async def test_a_revision_keeps_in_a_line_what_it_changed(house):
    async with house.controlled() as controller:
        await house.apply()
        await house.apply(FLEET.replace("period: 20", "period: 30"))
        await house.apply(FLEET.replace("period: 20", "period: 30") + "# a word\n")
        folder = str(house.folder)
        await house.apply(FLEET, settings={"folder": folder, "PLUGIN_TIMEOUT": "60"})
        told = [each.change for each in await controller.revisions()]
        assert told[:3] == [
            "adds binance_data, bollinger, momentum and 1 more",
            "bollinger: config.period 20 -> 30",
            "no plugin; the text alone",
        ]
        assert "timeout_s 30.0 -> 60.0" in told[3]


@pytest.fixture
async def running(house):
    """Everything runs as declared."""
    # No pass but those that somebody asks for.
    house.tempo = replace(TEMPO, relist=timedelta(minutes=10))
    async with house.controlled() as controller:
        *_, outcome = await house.apply()
        assert outcome.ready
        await eventually(lambda: not controller._loop.going)
        await controller.status(None)
        yield house, controller


async def test_a_preview_and_its_apply_share_one_look(running):
    house, controller = running
    book = controller._rooms.desk.book
    for _ in range(100):  # the last beats of the start may still come
        looks = controller._loop.begun
        shown = await house.preview(settings={"folder": str(house.folder)})
        assert not shown.differs
        _, progress, outcome = await house.apply(expect=shown.revision)
        assert outcome.ready
        assert len(outcome.plugins) == len(NAMES)
        assert controller._rooms.desk.book is book, "it was written again"
        if controller._loop.begun == looks + 1:
            break
    else:
        pytest.fail("it looks again and again")
    assert progress == [], "nobody changed"


async def test_what_was_shown_is_not_applied_in_place_of_other_files(running):
    house, _ = running
    await house.preview(settings={"folder": str(house.folder)})
    plan, _, outcome = await house.apply(FLEET.replace("period: 20", "period: 30"))
    assert [each.name for each in plan.changes if each.do != "keep"] == ["bollinger"]
    assert outcome.ready


async def test_what_ended_after_the_preview_is_started_by_the_apply(running):
    house, _ = running
    await house.preview(settings={"folder": str(house.folder)})
    before = house.machine.instances["bollinger"].id
    house.machine.end("bollinger", code=1)
    await eventually(lambda: "bollinger" not in house.machine.running())
    await house.passes(1)
    *_, outcome = await house.apply()
    assert outcome.ready
    assert house.machine.instances["bollinger"].id != before


async def test_an_apply_that_nobody_previewed_looks_itself(running):
    house, controller = running
    await controller.status(None)  # a look just made
    looks = controller._loop.begun
    *_, outcome = await house.apply()
    assert outcome.ready
    assert controller._loop.begun > looks
