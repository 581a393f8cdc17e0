"""What a runner says of a live source whose author says nothing."""

from datetime import UTC, datetime, timedelta

from ntp.contract.messages import MarketData
from ntp.runner.core.outlook import AHEAD_S, STALE_S, Outlook

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def tick(ahead_s=0.0):
    return MarketData(NOON + timedelta(seconds=ahead_s), "BTCUSDT", 1.0, 1.0)


def test_a_source_that_brings_nothing_is_stale_and_one_that_brings_data_is_not():
    outlook = Outlook(speaks=False, now=100.0)
    assert outlook.conditions(None, at=NOON, now=100 + STALE_S) == {}
    found = outlook.conditions(None, at=NOON, now=101 + STALE_S)
    assert found == {"FeedStale": "no tick ever came; none for 61 s"}
    first = tick()
    assert outlook.conditions(first, at=NOON, now=200.0) == {}
    assert outlook.conditions(first, at=NOON, now=200 + STALE_S) == {}
    found = outlook.conditions(first, at=NOON, now=205 + STALE_S)
    assert found == {"FeedStale": "no tick for 65 s"}
    assert outlook.conditions(tick(), at=NOON, now=300.0) == {}


def test_one_that_speaks_for_itself_is_not_spoken_for():
    outlook = Outlook(speaks=True, now=0.0)
    assert outlook.conditions(None, at=NOON, now=10 * STALE_S) == {}


def test_a_clock_that_is_ahead_is_told_until_a_tick_is_dated_well():
    outlook = Outlook(speaks=True, now=0.0)
    assert outlook.conditions(tick(AHEAD_S), at=NOON, now=1.0) == {}
    early = tick(4.93)
    found = outlook.conditions(early, at=NOON, now=2.0)
    assert "dated 4.9 s ahead of this machine's clock" in found["ClockAhead"]
    assert outlook.conditions(early, at=NOON + timedelta(seconds=9), now=11.0) == found
    assert outlook.conditions(tick(-3.0), at=NOON, now=12.0) == {}
