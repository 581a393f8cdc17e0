"""What came and is half shown, while others have their turn, is still to come."""

from datetime import UTC, datetime

from ntp.contract.launch import Listen
from ntp.contract.messages import DataBatch, MarketData
from ntp.contract.names import Kind
from ntp.runner.core.intake import Intake
from ntp.runner.core.lead import Run

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def half_shown() -> tuple[Intake, Run]:
    """Return an intake of which two of four ticks of one moment were shown, and the run."""
    intake = Intake([Listen("src", Kind.DATA_SOURCE)])
    ticks = [MarketData(NOON, "BTC", 1.0, 1.0, id=f"{i}") for i in range(1, 5)]
    (run,) = intake.data(DataBatch("src", "life", "BTC", 1, ticks, end=True), 0.0)
    run.lead.runs.append(run)
    run.done(0)
    run.done(1)
    return intake, run


def test_the_end_is_not_told_before_the_last_tick_was_shown():
    intake, run = half_shown()
    assert not intake.ended
    run.done(3)
    run.lead.runs.popleft()
    run.over()
    assert intake.ended


def test_a_life_that_ends_there_leaves_the_rest_to_the_next_one():
    intake, _ = half_shown()
    (mark,) = intake.marks()
    assert (mark.through, mark.ids) == (2, ["1", "2"])
    again = Intake([Listen("src", Kind.DATA_SOURCE)])
    again.resume([mark])
    ticks = [MarketData(NOON, "BTC", 1.0, 1.0, id=f"{i}") for i in range(1, 5)]
    runs = again.data(DataBatch("src", "another", "BTC", 1, ticks), 0.0)
    assert [tick.id for run in runs for tick in run.ticks] == ["3", "4"]
