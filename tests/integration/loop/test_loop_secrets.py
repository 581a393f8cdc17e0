"""Secrets: resolved late, kept nowhere, and never a reason to stop who runs."""

from datetime import timedelta

from tests.worlds.house import FLEET, finish


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


async def test_a_restart_that_could_not_start_again_stops_nobody(house):
    text = FLEET.replace("period: 20", "period: 20, key: '${EXCHANGE_KEY}'")
    async with house.controlled() as controller:
        house.environment["EXCHANGE_KEY"] = "s3cret"
        await house.apply(text)
        life = house.machine.instances["bollinger"].id
        del house.environment["EXCHANGE_KEY"]
        outcome = await finish(
            controller.restart("bollinger", wait=True, deadline=timedelta(seconds=1))
        )
        assert not outcome.ready
        status = await house.until("bollinger", lambda each: each.state == "Refused")
        assert "the one before keeps running: SecretMissing: plugins.yaml:" in status.message
        assert house.machine.instances["bollinger"].id == life
        house.environment["EXCHANGE_KEY"] = "s3cret"
        outcome = await finish(
            controller.restart("bollinger", wait=True, deadline=timedelta(seconds=5))
        )
        assert outcome.ready
        assert house.machine.instances["bollinger"].id != life


async def test_a_secret_that_came_after_its_entry_is_told_as_what_it_is(house):
    """Its start was tried again until it was there; the next apply knows its value for the first time."""
    text = FLEET.replace("period: 20", "period: 20, key: '${EXCHANGE_KEY}'")
    async with house.controlled():
        await house.apply(text)
        house.environment["EXCHANGE_KEY"] = "s3cret"
        await house.until("bollinger", lambda each: each.ready)
        preview = await house.preview(text)
        told = {each.name: each.cause for each in preview.changes}
        assert told["bollinger"] == "secret key is set now"


async def test_a_plan_says_whom_a_missing_secret_holds_back_and_leaves_alone_who_runs(house):
    text = FLEET.replace(
        "period: 20", "period: 20, key: '${EXCHANGE_KEY}', same: '${EXCHANGE_KEY}'"
    )
    async with house.controlled():
        preview = await house.preview(text)
        done = {each.name: (each.do, each.cause) for each in preview.changes}
        assert done["bollinger"] == ("refuse", "SecretMissing")
        assert done["momentum"] == ("start", "new")
        assert [(each.entry, each.message) for each in preview.entry_problems] == [
            ("bollinger", "the variable EXCHANGE_KEY is not set")
        ] * 2, "one for each place"
        preview = await house.preview(text, secrets={"EXCHANGE_KEY": "s3cret"})
        assert (preview.entry_problems, {each.do for each in preview.changes}) == ((), {"start"})
        await house.apply(text, secrets={"EXCHANGE_KEY": "s3cret"})
    async with house.controlled():
        await house.until("bollinger", lambda status: status.ready)
        preview = await house.preview(text)
        assert (preview.entry_problems, preview.differs) == ((), False), "who runs is left alone"
        preview = await house.preview(text.replace("period: 20", "period: 30"))
        (change,) = [each for each in preview.changes if each.do != "keep"]
        assert (change.do, change.cause) == (
            "refuse",
            "SecretMissing; the one before keeps running",
        )
        assert not change.stops
