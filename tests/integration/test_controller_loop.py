"""The loop on a machine in memory: apply, repair, go back, stay quiet when blind, take down."""

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.controller.controller import Controller
from orchestrator.controller.outside import Outside, Tempo
from orchestrator.decide.policy import Policy
from orchestrator.decide.report import Outcome, Preview, Progress
from orchestrator.decide.state import Exit, Phase
from orchestrator.errors import ActionError, ConfigError, ConflictError, UnreachableError
from orchestrator.store.lease import FileLease
from orchestrator.store.secrets import LocalSecrets
from orchestrator.store.sqlite import SqliteStore
from tests.worlds.memory import (
    Machine,
    MemoryBroker,
    MemoryBus,
    MemoryCatalog,
    MemoryRuntime,
    eventually,
    utc,
)

FAST = Policy(
    stable=timedelta(milliseconds=400),
    healthy=timedelta(milliseconds=50),
    first_delay=timedelta(milliseconds=20),
    longest_delay=timedelta(milliseconds=200),
    give_up_after=4,
    hold=timedelta(milliseconds=300),
    generation_deadline=timedelta(milliseconds=300),
    beat_interval=timedelta(milliseconds=20),
)
TEMPO = Tempo(
    relist=timedelta(milliseconds=40),
    pause=timedelta(milliseconds=1),
    look=timedelta(seconds=1),
    first_retry=timedelta(milliseconds=10),
    longest_retry=timedelta(milliseconds=100),
    most_actions=200,
)

FLEET = """\
plugins:
  data_sources:
    - name: binance_data
      config: {symbols: [BTCUSDT]}
  strategies:
    - name: bollinger
      timeout: 100ms
      config: {period: 20, std_dev: 2.0}
    - name: momentum
      timeout: 100ms
      config: {lookback: 14}
  executors:
    - name: paper
      timeout: 100ms
"""
NAMES = {"binance_data", "bollinger", "momentum", "paper"}


class FailingStore(SqliteStore):
    """The real store, on a disk that may be full."""

    away = False

    def _change(self):
        if self.away:
            raise UnreachableError("the state file cannot be written: disk is full")
        return super()._change()


class House:
    """One project's state folder and machine; controllers come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = Machine()
        self.runtime = MemoryRuntime(self.machine)
        self.broker = MemoryBroker(self.machine)
        self.bus = MemoryBus(self.machine)
        self.catalog = MemoryCatalog(folder)
        self.environment: dict[str, str] = {}
        self.policy = FAST
        self.tempo = TEMPO
        self.controller: Controller | None = None
        self.store: FailingStore | None = None
        self.ended: bool | None = None

    @asynccontextmanager
    async def controlled(self):
        """Run a controller as long as the block lasts; leaving it is a kill, no goodbye."""
        lease = FileLease(self.folder)
        with FailingStore.open(self.folder / "state.db") as store:
            self.store = store
            async with lease:
                secrets = LocalSecrets(
                    self.folder, folder=self.folder, environment=self.environment
                )
                self.controller = Controller(
                    Outside(
                        project="desk",
                        runtime=self.runtime,
                        broker=self.broker,
                        bus=self.bus,
                        catalog=lambda _settings: self.catalog,
                        store=store,
                        secrets=secrets,
                        lease=lease,
                        policy=self.policy,
                        tempo=self.tempo,
                    )
                )
                async with asyncio.TaskGroup() as tasks:
                    running = tasks.create_task(self._run(self.controller))
                    try:
                        yield self.controller
                    finally:
                        running.cancel()

    async def _run(self, controller: Controller) -> None:
        self.ended = await controller.run()

    async def apply(self, text=FLEET, **order):
        """Return (preview, progress, outcome)."""
        asked = {
            "settings": {"folder": str(self.folder)},
            "secrets": {},
            "expect": None,
            "allow_deletes": False,
            "pins": {},
            "wait": True,
            "deadline": timedelta(seconds=8),
        } | order
        items = [item async for item in self.controller.apply([("plugins.yaml", text)], **asked)]
        return items[0], items[1:-1], items[-1]

    async def preview(self, text=FLEET, **order):
        asked = {"settings": {}, "secrets": {}} | order
        return await self.controller.preview([("plugins.yaml", text)], **asked)

    async def status(self, name):
        return (await self.controller.status(name)).plugins[0]

    async def until(self, name, said, *, within_s=8.0):
        """Poll the status of `name` until `said(status)`; return it."""
        ends = asyncio.get_running_loop().time() + within_s
        while True:
            status = await self.status(name)
            if said(status):
                return status
            assert asyncio.get_running_loop().time() < ends, status
            await asyncio.sleep(0.005)

    async def passes(self, count):
        """Return when the loop has looked and planned so many more times."""
        loop = self.controller._loop
        number = loop.done + count
        await eventually(lambda: loop.done >= number)

    async def healthy(self, name):
        """Return when the running generation of `name` is one that can be gone back to."""
        memories, instance = self.controller._rooms.memories, self.machine.instances[name]
        await eventually(lambda: memories.of(name).healthy_generation == instance.generation)

    def starts(self, name):
        return self.machine.history.count(("start", name))

    async def condition(self, type_):
        conditions = (await self.controller.status(None)).conditions
        return next((each for each in conditions if each.type == type_), None)

    async def reasons(self, name):
        return [each.reason for each in await self.controller.events(name, limit=100)]


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


async def finish(items):
    return [item async for item in items][-1]


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


async def test_a_launch_has_config_inputs_credentials_and_labels(house):
    async with house.controlled():
        await house.apply()
        launch, file = house.machine.launches["bollinger"], house.machine.file("bollinger")
        assert file.config == {"period": 20, "std_dev": 2.0}
        assert [each.instance for each in file.inputs] == ["binance_data", "paper"]
        assert file.bus.servers == ["nats://127.0.0.1:4222"]
        assert launch.files["bus.creds"] == b"creds of bollinger"
        assert [str(host) for host in launch.egress] == ["127.0.0.1:4222"]
        assert (launch.project, launch.generation, launch.attempt, launch.epoch) == (
            "desk",
            1,
            1,
            1,
        )
        assert house.machine.file("paper").storage == "/storage"


async def test_applying_the_same_again_changes_nothing(house):
    async with house.controlled():
        await house.apply()
        before = list(house.machine.history)
        preview, _, outcome = await house.apply()
        assert outcome.ready
        assert not preview.differs
        assert house.machine.history == before
        assert len(await house.controller.revisions()) == 1


async def test_a_new_controller_adopts_what_runs(house):
    async with house.controlled():
        await house.apply()
    lives = {name: each.id for name, each in house.machine.instances.items()}
    for _ in range(3):
        async with house.controlled() as controller:
            outcome = await finish(controller.wait(None, deadline=timedelta(seconds=5)))
            assert outcome.ready
    assert {name: each.id for name, each in house.machine.instances.items()} == lives


async def test_a_changed_config_restarts_one_plugin_and_names_the_change(house):
    async with house.controlled():
        await house.apply()
        changed = FLEET.replace("period: 20", "period: 30")
        preview = await house.preview(changed)
        assert [(c.name, c.do.value, c.cause) for c in preview.changes if c.do != "keep"] == [
            ("bollinger", "recreate", "config.period 20 -> 30")
        ]
        assert "~ bollinger     recreate  config.period 20 -> 30" in preview.text
        before = len(house.machine.history)
        _, _, outcome = await house.apply(changed)
        assert outcome.ready
        assert house.machine.history[before:] == [("stop", "bollinger"), ("start", "bollinger")]
        assert house.machine.file("bollinger").config["period"] == 30
        assert house.machine.instances["bollinger"].generation == 2


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


async def test_a_first_crash_after_a_stable_life_is_restarted_at_once(house):
    async with house.controlled():
        await house.apply()
        started = house.machine.instances["bollinger"].started
        await eventually(lambda: utc() - started > FAST.stable)
        house.machine.end("bollinger", code=1)
        await eventually(lambda: "bollinger" in house.machine.running())
        status = await house.until("bollinger", lambda each: each.ready)
        assert status.restarts == 1
        assert status.last_exit.code == 1
        assert "Exited" in await house.reasons("bollinger")


async def test_crashes_back_off_and_at_last_the_plugin_is_given_up_and_start_tries_again(house):
    async with house.controlled():
        house.machine.crash_at_start["bollinger"] = Exit(utc(), oom=True, memory_peak=530 << 20)
        _, progress, outcome = await house.apply()
        assert not outcome.ready
        assert [each.name for each in outcome.waiting] == ["bollinger"]
        assert ("OOMKilled", "limit 512 MiB, peak 530 MiB; raise resources.memory") in [
            (each.state, each.message) for each in progress
        ]
        status = await house.until("bollinger", lambda each: each.state == "GaveUp")
        assert "4 failures in a row, the last: OOMKilled" in status.message
        starts = house.starts("bollinger")
        assert starts == 4
        assert {
            each.name for each in (await house.controller.status(None)).plugins if each.ready
        } == (NAMES - {"bollinger"})
        del house.machine.crash_at_start["bollinger"]
        outcome = await finish(
            house.controller.start("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert house.starts("bollinger") == 5


async def test_failures_are_counted_on_by_the_next_controller(house):
    async with house.controlled():
        house.machine.crash_at_start["bollinger"] = Exit(utc(), code=1)
        await house.apply(wait=False)
        await eventually(lambda: house.starts("bollinger") == 2)
    for _ in range(4):
        async with house.controlled():
            await house.passes(3)
    async with house.controlled():
        await house.until("bollinger", lambda each: each.state == "GaveUp")
        assert house.starts("bollinger") == FAST.give_up_after


async def test_a_permanent_end_waits_for_a_changed_entry(house):
    async with house.controlled():
        house.machine.crash_at_start["bollinger"] = Exit(
            utc(), code=2, reason="ConfigRefused", message="period was -1", permanent=True
        )
        _, _, outcome = await house.apply()
        assert [(each.name, each.state) for each in outcome.waiting] == [
            ("bollinger", "ConfigRefused")
        ]
        assert outcome.waiting[0].message.startswith("period was -1; ")
        await house.passes(10)
        assert house.starts("bollinger") == 1
        del house.machine.crash_at_start["bollinger"]
        _, _, outcome = await house.apply(FLEET.replace("period: 20", "period: 21"))
        assert outcome.ready


async def test_a_service_that_ends_with_zero_has_failed(house):
    house.policy = replace(
        FAST, first_delay=timedelta(seconds=2), longest_delay=timedelta(seconds=2)
    )
    async with house.controlled():
        await house.apply()
        house.machine.crash_at_start["bollinger"] = Exit(utc(), code=0)
        house.machine.end("bollinger", code=0)
        status = await house.until("bollinger", lambda each: each.state == "ExitedZero")
        assert "runs until it is told to stop" in status.message


async def test_a_change_that_does_not_become_healthy_is_taken_back(house):
    async with house.controlled():
        await house.apply()
        await house.until("bollinger", lambda each: each.ready)
        await house.healthy("bollinger")
        house.machine.crash_at_start["bollinger"] = Exit(
            utc(), code=2, reason="ConfigRefused", message="period was 999", permanent=True
        )
        changed = FLEET.replace("period: 20", "period: 999")
        await house.apply(changed, wait=False)
        await eventually(lambda: house.starts("bollinger") == 2)
        del house.machine.crash_at_start["bollinger"]
        status = await house.until("bollinger", lambda each: each.state == "FellBack")
        assert (
            "generation 2 was not healthy by its deadline; generation 1 runs again"
            in status.message
        )
        assert "period was 999" in status.message
        assert not status.ready
        assert house.machine.file("bollinger").config["period"] == 20
        assert "FellBack" in await house.reasons("bollinger")
    async with house.controlled():
        await house.until("bollinger", lambda each: each.state == "FellBack")
        assert house.starts("bollinger") == 3
        _, _, outcome = await house.apply(FLEET.replace("period: 20", "period: 25"))
        assert outcome.ready
        assert house.machine.file("bollinger").config["period"] == 25


async def test_a_change_that_never_gets_ready_is_taken_back_at_its_deadline(house):
    async with house.controlled():
        await house.apply()
        await house.until("bollinger", lambda each: each.ready)
        await house.healthy("bollinger")
        house.machine.unready.add("bollinger")
        await house.apply(FLEET.replace("period: 20", "period: 30"), wait=False)
        await eventually(lambda: house.starts("bollinger") == 2)
        await eventually(lambda: house.starts("bollinger") == 3)
        house.machine.unready.clear()
        await house.until("bollinger", lambda each: each.state == "FellBack")
        assert house.machine.file("bollinger").config["period"] == 20


async def test_nobody_is_stopped_for_a_change_that_cannot_be_started(house):
    async with house.controlled():
        await house.apply()
        life = house.machine.instances["bollinger"].id
        changed = FLEET.replace("period: 20", "period: 30, key: '${EXCHANGE_KEY}'")
        _, _, outcome = await house.apply(changed)
        assert not outcome.ready
        status = await house.until("bollinger", lambda each: each.state == "Refused")
        assert "the one before keeps running: SecretMissing: plugins.yaml:" in status.message
        assert house.machine.instances["bollinger"].id == life
        _, _, outcome = await house.apply(changed, secrets={"EXCHANGE_KEY": "s3cret"})
        assert outcome.ready
        assert house.machine.file("bollinger").config["key"] == "s3cret"


async def test_a_missing_secret_fails_only_its_entry_and_no_value_is_ever_kept(house):
    text = FLEET.replace("symbols: [BTCUSDT]", "symbols: [BTCUSDT], key: '${EXCHANGE_KEY}'")
    async with house.controlled():
        _, _, outcome = await house.apply(text)
        assert [(each.name, each.state) for each in outcome.waiting] == [
            ("binance_data", "SecretMissing")
        ]
        house.environment["EXCHANGE_KEY"] = "s3cret-value"
        _, _, outcome = await house.apply(text)
        assert outcome.ready
        house.environment["EXCHANGE_KEY"] = "another-value"
        preview, _, _ = await house.apply(text)
        assert [c.cause for c in preview.changes if c.do == "recreate"] == [
            "secret key has another value"
        ]
    kept = b"".join(path.read_bytes() for path in house.folder.iterdir() if path.is_file())
    assert b"s3cret-value" not in kept
    assert b"another-value" not in kept


async def test_a_passed_secret_that_is_gone_with_its_controller_stops_nobody(house):
    text = FLEET.replace("symbols: [BTCUSDT]", "symbols: [BTCUSDT], key: '${EXCHANGE_KEY}'")
    async with house.controlled():
        _, _, outcome = await house.apply(text, secrets={"EXCHANGE_KEY": "s3cret"})
        assert outcome.ready
    life = house.machine.instances["binance_data"].id
    async with house.controlled():
        _, _, outcome = await house.apply(text)
        assert outcome.ready
        assert house.machine.instances["binance_data"].id == life


async def test_a_broken_edit_tells_its_problems_and_stops_nothing(house):
    async with house.controlled():
        await house.apply()
        before = list(house.machine.history)
        broken = FLEET.replace("config: {period", "confg: {period")
        preview = await house.preview(broken)
        assert [problem.line for problem in preview.problems] == [8]
        with pytest.raises(ConfigError, match="confg"):
            await house.apply(broken)
        assert (await house.condition("ConfigValid")).status is False
        await house.controller.status(None)
        assert house.machine.history == before
        await house.apply()
        assert (await house.condition("ConfigValid")).status is True


async def test_a_plugin_that_is_not_found_is_a_problem_of_the_files(house):
    async with house.controlled():
        house.catalog.unknown.add("momentum")
        with pytest.raises(ConfigError, match="no plugin 'momentum' was found"):
            await house.apply()
        assert house.machine.history == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plugins: {strategies: []}\n", "it declares no plugin at all"),
        (FLEET[: FLEET.index("  strategies:")], "it stops 3 of the 4 plugins that run"),
        (FLEET[: FLEET.index("    - name: paper") + 15], "cut off in the middle of a line"),
    ],
)
async def test_a_file_that_deletes_much_needs_a_second_word(house, text, words):
    async with house.controlled():
        await house.apply()
        before = list(house.machine.history)
        assert words in (await house.preview(text)).guard
        with pytest.raises(ActionError, match="--allow-deletes") as refusal:
            await house.apply(text)
        assert refusal.value.reason == "GuardedDeletion"
        assert words in str(refusal.value)
        assert house.machine.history == before


async def test_deletions_that_are_meant_are_done_and_the_broker_goes_last(house):
    async with house.controlled():
        await house.apply()
        await house.apply("plugins: {strategies: []}\n", allow_deletes=True)
        await eventually(lambda: house.machine.instances == {})
        assert house.machine.history[-1] == ("remove", "broker")


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


async def test_blind_nothing_is_done_and_status_says_so(house):
    async with house.controlled():
        await house.apply()
        house.machine.away = True
        house.machine.end("bollinger", code=1)
        before = list(house.machine.history)
        status = await house.until("momentum", lambda each: each.state == "Unknown")
        assert status.message == "the runtime does not answer; it was Running when last seen"
        assert (await house.condition("RuntimeReachable")).status is False
        assert house.machine.history == before
        house.machine.away = False
        await house.until("bollinger", lambda each: each.ready)
        assert (await house.condition("RuntimeReachable")).status is True


async def test_a_runtime_that_hangs_is_one_that_does_not_answer(house):
    house.tempo = replace(TEMPO, look=timedelta(milliseconds=100))
    async with house.controlled():
        await house.apply()
        house.machine.hangs = True
        await house.until("momentum", lambda each: each.state == "Unknown")
        assert "took too long" in (await house.condition("RuntimeReachable")).message


async def test_a_broker_that_dies_is_repaired_and_stops_nobody(house):
    async with house.controlled():
        await house.apply()
        lives = {n: each.id for n, each in house.machine.instances.items() if n != "broker"}
        ensured = len(house.broker.ensured)
        house.machine.end("broker", signal=9)
        await eventually(lambda: "broker" in house.machine.running())
        await house.until("momentum", lambda each: each.ready)
        assert {n: each.id for n, each in house.machine.instances.items() if n != "broker"} == lives
        await eventually(lambda: len(house.broker.ensured) > ensured)


async def test_with_the_broker_away_a_change_waits_and_nobody_is_stopped(house):
    async with house.controlled():
        await house.apply()
        house.machine.crash_at_start["broker"] = Exit(utc(), code=1)
        house.machine.end("broker", signal=9)
        life = house.machine.instances["bollinger"].id
        _, _, outcome = await house.apply(
            FLEET.replace("period: 20", "period: 30"), deadline=timedelta(milliseconds=300)
        )
        assert not outcome.ready
        status = await house.until("bollinger", lambda each: "that waits" in each.message)
        assert status.state == "Running"
        assert status.message.startswith("changed: config.period 20 -> 30; that waits: Unreachable")
        assert house.machine.instances["bollinger"].id == life
        assert house.machine.instances["bollinger"].phase is Phase.RUNNING
        del house.machine.crash_at_start["broker"]
        outcome = await finish(house.controller.wait(None, deadline=timedelta(seconds=8)))
        assert outcome.ready
        assert house.machine.file("bollinger").config["period"] == 30


async def test_one_silent_plugin_is_replaced_and_all_silent_are_not(house):
    async with house.controlled():
        await house.apply()
        house.machine.silent.add("bollinger")
        life = house.machine.instances["bollinger"].id
        await eventually(lambda: house.machine.instances["bollinger"].id != life)
        assert "Unresponsive" in await house.reasons("bollinger")
        house.machine.silent.clear()
        await house.until("bollinger", lambda each: each.ready)
        house.machine.silent |= NAMES
        lives = {n: each.id for n, each in house.machine.instances.items()}
        now = utc()
        await eventually(lambda: utc() - now > timedelta(milliseconds=500))
        await house.passes(3)
        assert {n: each.id for n, each in house.machine.instances.items()} == lives


async def test_a_plugin_stopped_by_hand_stays_so_until_it_is_started(house):
    async with house.controlled() as controller:
        await house.apply()
        outcome = await finish(
            controller.stop("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert outcome.plugins[0].state == "Stopped"
        assert "by hand, not in plugins.yaml" in outcome.plugins[0].message
        await house.apply(FLEET.replace("period: 20", "period: 30"))
    async with house.controlled() as controller:
        assert (await house.status("bollinger")).state == "Stopped"
        assert "bollinger" not in house.machine.running()
        outcome = await finish(
            controller.start("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert house.machine.file("bollinger").config["period"] == 30


async def test_a_restart_by_hand_replaces_exactly_one_life(house):
    async with house.controlled() as controller:
        await house.apply()
        before = len(house.machine.history)
        outcome = await finish(
            controller.restart("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert house.machine.history[before:] == [("stop", "bollinger"), ("start", "bollinger")]
        assert (await house.status("bollinger")).restarts == 0, "nothing has failed"


async def test_an_unknown_name_is_refused_with_those_there_are(house):
    async with house.controlled() as controller:
        await house.apply()
        with pytest.raises(
            ActionError, match="no plugin is named 'bolinger'; there are: binance_data"
        ):
            await finish(controller.restart("bolinger", wait=True, deadline=timedelta(seconds=5)))


async def test_down_stops_sources_first_and_the_broker_last_and_keeps_storage(house):
    async with house.controlled() as controller:
        await house.apply()
        before = len(house.machine.history)
        downed = await finish(controller.down(delete_data=False, deadline=timedelta(seconds=10)))
        stops = [name for what, name in house.machine.history[before:] if what == "stop"]
        assert stops[0] == "binance_data"
        assert stops[-1] == "broker"
        assert house.machine.history[-1] == ("remove", "broker")
        assert set(downed.removed) == NAMES | {"broker"}
        assert list(downed.kept) == ["paper"]
        assert house.machine.instances == {}
        assert house.machine.storage == {"paper"}
        assert house.machine.closed
        await eventually(lambda: house.ended is False)
    async with house.controlled() as controller:
        await controller.status(None)
        await house.passes(5)
        assert house.machine.instances == {}, "what was taken down does not come back by itself"
        _, _, outcome = await house.apply()
        assert outcome.ready


async def test_down_goes_on_in_the_next_controller(house):
    async with house.controlled():
        await house.apply()
        house.machine.hangs = True
        items = house.controller.down(delete_data=True, deadline=timedelta(milliseconds=50))
        with pytest.raises(ActionError, match="still being taken down"):
            await finish(items)
    house.machine.hangs = False
    async with house.controlled():
        await eventually(lambda: house.ended is True)
        assert house.machine.instances == {}
        assert house.machine.storage == set()


async def test_a_refused_start_is_shown_with_its_reason_and_tried_again(house):
    async with house.controlled():
        house.machine.refuse["momentum"] = ActionError("no free uid", reason="NoUid")
        _, _, outcome = await house.apply()
        assert [(e.name, e.state, e.message) for e in outcome.waiting] == [
            ("momentum", "NoUid", "no free uid")
        ]
        del house.machine.refuse["momentum"]
        await house.until("momentum", lambda each: each.ready)


async def test_what_was_refused_for_good_is_tried_again_by_the_next_controller(house):
    async with house.controlled():
        house.machine.refuse["momentum"] = ActionError(
            "no sandbox works here", reason="NoSandbox", permanent=True
        )
        _, _, outcome = await house.apply()
        assert [each.state for each in outcome.waiting] == ["NoSandbox"]
        del house.machine.refuse["momentum"]
        await house.passes(10)
        assert (await house.status("momentum")).state == "NoSandbox"
    async with house.controlled():
        await house.until("momentum", lambda each: each.ready)


async def test_an_end_that_any_look_sees_is_repaired_without_an_event(house):
    house.tempo = replace(TEMPO, relist=timedelta(minutes=5))
    async with house.controlled():
        await house.apply()
        there = house.machine.instances["bollinger"]
        end = Exit(utc(), code=1)
        house.machine.instances["bollinger"] = replace(there, phase=Phase.EXITED, exit=end)
        await house.status("momentum")
        await eventually(lambda: house.machine.instances["bollinger"].phase is Phase.RUNNING)


async def test_a_plugin_replanned_without_progress_is_parked(house):
    house.tempo = replace(TEMPO, most_actions=6, flapping=timedelta(seconds=30))
    async with house.controlled() as controller:
        await house.apply()
        for _ in range(8):
            await eventually(lambda: "bollinger" in house.machine.running())
            if "Flapping" in await house.reasons("bollinger"):
                break
            house.machine.instances.pop("bollinger")  # somebody removes it behind our back
            house.machine.touch()
            await eventually(
                lambda: (
                    "bollinger" in house.machine.running()
                    or "bollinger" in house.controller._loop.parked()
                )
            )
            if "bollinger" in house.controller._loop.parked():
                break
        status = await house.until("bollinger", lambda each: each.state == "Flapping")
        assert "no progress" in status.message
        outcome = await finish(
            controller.restart("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready


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
        _, _, outcome = await house.apply(first.sources[0][1], pins=first.resolved)
        assert outcome.ready
        assert house.machine.file("bollinger").config["period"] == 20
        assert (await controller.revisions())[-1].resolved["bollinger"] == "sha256:bollinger"


async def test_info_beats_events_and_logs_answer(house):
    async with house.controlled() as controller:
        await house.apply()
        info = await controller.info()
        assert (info.project, info.runtime, info.revision, info.epoch) == ("desk", "memory", 1, 1)
        assert info.broker.state == "Running"
        assert info.isolation.tier == 3
        assert set(await controller.beats()) == NAMES
        lines = [
            line.text async for line in controller.logs("rsi" * 0 + "paper", follow=False, tail=2)
        ]
        assert lines == ["paper says 0", "paper says 1"]
        status = await house.status("paper")
        assert status.flow.sent == 3
        assert status.isolation.tier == 3
        assert status.place == "plugins.yaml:13"


async def test_followed_events_are_the_last_ones_and_then_the_new_ones_without_a_gap(house):
    async with house.controlled() as controller:
        await house.apply()
        before = [each.reason for each in await controller.events("paper", limit=100)]
        found = []
        async with (
            asyncio.timeout(10),
            aclosing(controller.follow_events("paper", limit=100)) as events,
        ):
            async for event in events:
                found.append(event.reason)
                if len(found) == len(before):
                    house.machine.end("paper", code=3)
                if event.reason == "Exited":
                    break
        assert found == [*before, "Exited"]


async def test_an_apply_that_was_cut_off_after_its_revision_is_finished_by_the_next_controller(
    house,
):
    async with house.controlled():
        await house.apply()
    with SqliteStore.open(house.folder / "state.db") as store:
        current = store.current()
        text = FLEET.replace("period: 20", "period: 30")
        sources = ((current.sources[0][0], text),)
        store.save(replace(current, number=2, sources=sources), expect=1)
    async with house.controlled() as controller:
        outcome = await finish(controller.wait(None, deadline=timedelta(seconds=5)))
        assert outcome.ready
        assert isinstance(outcome, Outcome)
        assert outcome.revision == 2
        await eventually(lambda: house.machine.file("bollinger").config["period"] == 30)


async def test_a_lost_lock_ends_the_controller_and_touches_nobody(house):
    async with house.controlled():
        await house.apply()
    before = list(house.machine.history)
    with pytest.raises(BaseExceptionGroup) as lost:  # noqa: PT012 - it comes while we wait
        async with house.controlled():
            (house.folder / "controller.lock").unlink()
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
    assert lost.group_contains(ConflictError, match="lock was lost")
    assert house.machine.history == before


@pytest.mark.parametrize("passes", range(1, 12))
async def test_killed_after_any_number_of_passes_it_starts_everybody_exactly_once(house, passes):
    house.machine.slow_start_s = 0.003
    async with house.controlled():
        await house.apply(wait=False)
    for _ in range(40):
        async with house.controlled():
            await house.passes(passes)
        if house.machine.running() >= NAMES:
            break
    async with house.controlled() as controller:
        outcome = await finish(controller.wait(None, deadline=timedelta(seconds=8)))
        assert outcome.ready
    assert house.machine.doubles == 0
    assert {name: house.starts(name) for name in NAMES} == dict.fromkeys(NAMES, 1)


async def test_without_the_store_nothing_is_done_and_everything_is_made_up_for(house):
    async with house.controlled() as controller:
        await house.apply()
        house.store.away = True
        house.machine.end("bollinger", code=1)
        await eventually(lambda: not controller._rooms.journal.holds("StoreSound"))
        before = list(house.machine.history)
        await house.passes(5)
        assert house.machine.history == before
        assert house.machine.running() == (NAMES - {"bollinger"}) | {"broker"}
        house.store.away = False
        await house.until("bollinger", lambda each: each.ready)
        assert (await house.condition("StoreSound")).status is True


async def test_one_that_cannot_be_stopped_is_tried_again_with_a_pause(house):
    async with house.controlled():
        await house.apply()
        house.machine.unkillable.add("bollinger")
        without = (
            FLEET[: FLEET.index("    - name: bollinger")]
            + FLEET[FLEET.index("    - name: momentum") :]
        )
        await house.apply(without, wait=False)
        await eventually(lambda: house.machine.stop_tries >= 3)
        assert "LeftoverAlive" in await house.reasons("bollinger")
        tries, number = house.machine.stop_tries, house.controller._loop.done
        await house.passes(20)
        assert house.machine.stop_tries - tries < house.controller._loop.done - number
        house.machine.unkillable.clear()
        await eventually(lambda: "bollinger" not in house.machine.instances)


async def test_who_is_taken_out_while_he_is_installed_is_not_started(house):
    house.catalog.slow["bollinger"] = asyncio.Event()
    async with house.controlled() as controller:
        await house.apply(wait=False)
        await house.until(
            "bollinger", lambda each: each.message == "its requirements are being installed"
        )
        await house.until("momentum", lambda each: each.ready)
        await finish(controller.stop("bollinger", wait=False, deadline=timedelta(seconds=1)))
        house.catalog.slow["bollinger"].set()
        await house.until("bollinger", lambda each: each.state == "Stopped")
        assert house.starts("bollinger") == 0


async def test_a_restart_does_not_wait_for_the_installation_of_another(house):
    async with house.controlled():
        await house.apply()
        house.catalog.slow["extra"] = asyncio.Event()
        more = FLEET.replace("  executors:", "    - name: extra\n  executors:")
        await house.apply(more, wait=False)
        await house.until(
            "extra", lambda each: each.message == "its requirements are being installed"
        )
        house.machine.end("momentum", code=1)
        await house.until("momentum", lambda each: each.ready)
        house.catalog.slow["extra"].set()
        await house.until("extra", lambda each: each.ready)


async def test_a_plugin_stopped_by_hand_fails_no_apply(house):
    async with house.controlled() as controller:
        await house.apply()
        await finish(controller.stop("momentum", wait=True, deadline=timedelta(seconds=5)))
        _, _, outcome = await house.apply(FLEET.replace("period: 20", "period: 30"))
        assert outcome.ready
        outcome = await finish(controller.wait(["momentum"], deadline=timedelta(seconds=5)))
        assert not outcome.ready


async def test_blind_a_preview_says_that_it_cannot_know(house):
    async with house.controlled() as controller:
        await house.apply()
        house.machine.away = True
        await house.until("momentum", lambda each: each.state == "Unknown")
        with pytest.raises(UnreachableError, match="what would change is not known"):
            await house.preview()
        with pytest.raises(UnreachableError, match="cannot be replaced"):
            await finish(controller.restart("momentum", wait=True, deadline=timedelta(seconds=5)))
