"""A controller that tells a real HTTP server what goes wrong: once, whatever happens to either of them."""

from datetime import timedelta

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from orchestrator.controller.outbox import MOST
from orchestrator.decide.alerts import Alert, Status
from orchestrator.decide.state import Exit
from orchestrator.monitor.metrics import Metrics
from orchestrator.monitor.webhook import HttpWebhook
from orchestrator.spec.webhook import Webhook
from tests.worlds.house import FLEET, finish
from tests.worlds.memory import eventually, utc
from tests.worlds.receiver import Receiver, receiving

OOM = ("momentum", "OOMKilled")


@pytest.fixture
def receiver():
    with receiving(Receiver()) as made:
        yield made


@pytest.fixture
def office(house, receiver):
    """The house, whose controllers tell the receiver."""
    house.notifier = HttpWebhook(Webhook(receiver.url), version="1", deadline_s=0.5)
    return house


def kill(office):
    office.machine.end("momentum", signal=9, oom=True)


async def told(receiver, *wanted, status="firing"):
    """Wait for these; a machine under load may have others told too, of beats that came late."""
    await eventually(lambda: set(wanted) <= set(receiver.reasons(status)))


def delivered(office):
    return office.controller.figures().alerts.delivered


async def test_a_kill_is_told_once_and_so_is_its_end(office, receiver):
    async with office.controlled():
        await office.apply()
        kill(office)
        await told(receiver, OOM)
        await told(receiver, OOM, status="resolved")
        assert len({e["alert"] for e in receiver.told if e["reason"] == "OOMKilled"}) == 1
        await office.passes(5)
        assert receiver.reasons().count(OOM) == receiver.reasons("resolved").count(OOM) == 1
        await eventually(lambda: delivered(office) >= 2)
        assert (await office.condition("AlertsDelivered")).status


async def test_a_loop_and_giving_up_are_told(office, receiver):
    async with office.controlled():
        office.machine.crash_at_start["momentum"] = Exit(at=utc(), code=1)
        await office.apply(deadline=timedelta(seconds=1))
        await told(receiver, ("momentum", "CrashLoop"), ("momentum", "GaveUp"))
        assert "`ntpctl start momentum`" in receiver.told[-1]["message"]
        office.machine.crash_at_start.clear()
        await finish(office.controller.start("momentum", wait=True, deadline=timedelta(seconds=8)))
        await told(receiver, ("momentum", "CrashLoop"), ("momentum", "GaveUp"), status="resolved")


async def test_the_next_controller_repeats_nothing_and_ends_what_is_over(office, receiver):
    async with office.controlled():
        await office.apply()
        office.machine.unready.add("momentum")
        kill(office)
        await eventually(lambda: delivered(office) == 1)
    async with office.controlled():
        await office.passes(5)
        assert OOM not in receiver.reasons("resolved")
        office.machine.unready.clear()
        await eventually(lambda: OOM in receiver.reasons("resolved"))
        assert receiver.reasons().count(OOM) == 1
        await eventually(lambda: delivered(office) >= 2)  # the count goes on


async def test_what_was_not_delivered_is_delivered_by_the_next_controller(office, receiver):
    receiver.hold = True
    async with office.controlled():
        await office.apply()
        kill(office)
        await eventually(lambda: receiver.requests)
    receiver.hold = False
    receiver.requests.clear()
    async with office.controlled():
        await told(receiver, OOM)
        await told(receiver, OOM, status="resolved")
    assert len({each["id"] for each in receiver.told}) == len(receiver.told)


async def test_a_receiver_that_fails_is_asked_again_with_the_same_id(office, receiver):
    receiver.answers = [500, 503]
    async with office.controlled():
        await office.apply()
        kill(office)
        await eventually(lambda: len(receiver.requests) >= 1)
        failing = await office.condition("AlertsDelivered")
        await eventually(lambda: delivered(office) == 1)
        first = receiver.told[:3]
        assert len({each["id"] for each in first}) == 1
        assert office.controller.figures().alerts.retries == 2
        if failing is not None and not failing.status:
            assert failing.reason == "NotAnswering"
            assert "hunter2" not in failing.message
        assert (await office.condition("AlertsDelivered")).status


async def test_one_that_never_answers_is_given_up_and_said_in_status(office, receiver):
    receiver.status = 500
    async with office.controlled() as controller:
        await office.apply()
        kill(office)
        await eventually(lambda: controller.figures().alerts.failed == 1)
        found = await office.condition("AlertsDelivered")
        assert (found.status, found.reason) == (False, "NotAnswering")
        assert found.message.startswith(f"http://127.0.0.1:{receiver.port}: it answered 500")
        assert "given up: 1 alert never arrived" in found.message
        assert "NotAnswering" in await office.reasons("")
        info = await controller.info()
        assert (info.webhook.failed, info.webhook.place) == (1, f"http://127.0.0.1:{receiver.port}")
        receiver.status = 200
        await told(receiver, OOM, status="resolved")
        await eventually(lambda: delivered(office) == 1)
        assert (await office.condition("AlertsDelivered")).status


async def test_a_refusal_is_final(office, receiver):
    receiver.status = 410
    async with office.controlled() as controller:
        await office.apply()
        kill(office)
        await eventually(lambda: controller.figures().alerts.failed == 1)
        assert len(receiver.requests) == 1
        found = await office.condition("AlertsDelivered")
        assert (found.status, found.reason) == (False, "WebhookRefused")
        assert "410 Gone" in found.message


async def test_a_receiver_that_hangs_holds_up_no_pass(office, receiver):
    receiver.hold = True
    async with office.controlled():
        await office.apply()
        kill(office)
        await eventually(lambda: receiver.requests)
        await office.until("momentum", lambda status: status.ready and status.restarts == 1)
        await office.passes(5)
        assert delivered(office) == 0


async def test_what_waits_is_bounded_and_what_is_left_out_is_said(office, receiver):
    receiver.hold = True
    async with office.controlled() as controller:
        await office.apply()
        outbox = controller._alerting._outbox
        many = [
            Alert(f"i{number}", "a", Status.FIRING, "desk", utc(), "m")
            for number in range(MOST + 30)
        ]
        left_out = outbox.put(many)
        assert len(outbox.waiting) == MOST
        assert [each.id for each in left_out] == [f"i{number}" for number in range(1, 31)]
        assert outbox.waiting[0].id == "i0", "the one under way stays"


async def test_down_ends_what_is_open(office, receiver):
    async with office.controlled() as controller:
        office.machine.crash_at_start["momentum"] = Exit(at=utc(), code=1)
        await office.apply(deadline=timedelta(seconds=1))
        await told(receiver, ("momentum", "CrashLoop"), ("momentum", "GaveUp"))
        await finish(controller.down(delete_data=True, deadline=timedelta(seconds=8)))
        await told(receiver, ("momentum", "CrashLoop"), ("momentum", "GaveUp"), status="resolved")
        assert {e["message"] for e in receiver.told if e["status"] == "resolved"} == {
            "everything was taken down"
        }


async def test_a_disk_that_is_full_keeps_nobody_from_being_told(office, receiver):
    async with office.controlled():
        await office.apply()
        office.store.away = True
        kill(office)
        await eventually(lambda: ("", "StoreSound") in receiver.reasons())
        office.store.away = False
        await told(receiver, ("", "StoreSound"), OOM)
        await told(receiver, ("", "StoreSound"), OOM, status="resolved")


async def test_the_counts_are_metrics_and_go_on_with_the_next_controller(office, receiver):
    def read(controller, status):
        text = Metrics("1").render(status, controller.figures()).decode()
        return {
            (each.name, *each.labels.values()): each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
            if each.name.startswith(("ntp_webhook", "ntp_alerts"))
        }

    receiver.answers = [500]
    async with office.controlled() as controller:
        await office.apply()
        office.machine.unready.add("momentum")
        kill(office)
        await eventually(lambda: delivered(office) == 1)
        before = read(controller, await controller.status(None))
    async with office.controlled() as controller:
        after = read(controller, await controller.status(None))
    assert before == after == {
        ("ntp_alerts_open", "momentum", "OOMKilled"): 1,
        ("ntp_webhook_messages_total", "delivered"): 1,
        ("ntp_webhook_messages_total", "failed"): 0,
        ("ntp_webhook_messages_total", "suppressed"): 0,
        ("ntp_webhook_retries_total",): 1,
        ("ntp_webhook_waiting",): 0,
    }  # fmt: skip


async def test_what_another_release_wrote_is_not_in_the_way(office, receiver):
    async with office.controlled():
        await office.apply()
        office.store.set("alerts", msgspec.json.encode({"book": 7}).decode())
    async with office.controlled():
        kill(office)
        await told(receiver, OOM)


async def test_a_bug_of_alerts_ends_nobody(office, receiver, monkeypatch):
    async with office.controlled() as controller:
        await office.apply()
        outbox = controller._alerting._outbox
        with monkeypatch.context() as bugs, capture_logs() as said:
            bugs.setattr(controller._alerting, "_look", None)
            bugs.setattr(office.notifier, "_path", None)
            kill(office)
            await office.until("momentum", lambda status: status.ready and status.restarts == 1)
            outbox.put([Alert("i", "a", Status.FIRING, "desk", utc(), "m")])
            await eventually(lambda: outbox.counts.failed == 1)
            found = await office.condition("AlertsDelivered")
            assert (found.status, found.reason) == (False, "Bug")
        assert {each["log_level"] for each in said if each["event"] == "alerts.bug"} == {"error"}
        office.machine.end("momentum", signal=9, oom=True)
        await told(receiver, OOM)


async def test_without_a_webhook_nobody_looks(house):
    async with house.controlled() as controller:
        await house.apply(FLEET)
        kill(house)
        await house.passes(3)
        assert controller.figures().alerts is None
        assert (await controller.info()).webhook is None
        assert house.store.setting("alerts") is None


async def test_a_loss_of_memory_is_alerted_over_any_restart_until_it_is_acknowledged(
    office, receiver
):
    firing = [("", "HaltsKnown"), ("", "StoreWhole")]
    async with office.controlled() as controller:
        await office.apply()
        office.damage("records", "momentum")
    async with office.controlled():
        pass  # it ended before anybody was alerted
    async with office.controlled() as controller:
        await told(receiver, *firing)
        await eventually(lambda: delivered(office) >= 2)
        await finish(controller.halt([], flatten=None, wait=False, deadline=timedelta(seconds=5)))
    async with office.controlled():
        await told(receiver, *firing, status="resolved")
