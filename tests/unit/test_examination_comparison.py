from datetime import UTC, datetime, timedelta

from ntp import MarketData, SignalType, TradingSignal
from ntp.examination.checks import warm_up
from ntp.examination.comparison import (
    Made,
    Sample,
    first_difference,
    last_difference,
    within,
)
from ntp.examination.finding import Status

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
SAMPLE = Sample(
    [
        MarketData(
            NOON + timedelta(seconds=i), "ETH" if i % 4 == 3 else "BTC", 100.0, 1.0, id=str(i)
        )
        for i in range(4000)
    ]
)


def made(number, symbol="BTC", side=SignalType.BUY, price=100.0, ordinal=0):
    return Made(symbol, number, ordinal, TradingSignal(symbol, side, 1.0, price))


def test_the_first_difference_is_a_missing_signal_or_another_one():
    some = [made(1), made(5), made(9)]
    assert first_difference(some, some) is None
    assert first_difference(some, [made(1), made(9)]) == ("BTC", 5)
    assert first_difference(some, some[:2]) == ("BTC", 9)
    assert first_difference(some, [made(1), made(5, side=SignalType.SELL), made(9)]) == ("BTC", 5)
    assert first_difference(some, [made(1), made(5, price=100.0 + 1e-9), made(9)]) is None
    assert first_difference(some, [made(1), made(5, price=100.1), made(9)]) == ("BTC", 5)


def test_only_what_the_shorter_run_was_shown_is_compared():
    some = [made(1), made(5), made(6), made(3, "ETH")]
    assert within(some, {"BTC": 5}, closed=False) == some[:2]
    assert within(some, {"BTC": 5}, closed=True) == some[:1]


def test_a_tick_is_found_by_its_number():
    assert SAMPLE.counts(8) == {"BTC": 6, "ETH": 2}
    at = SAMPLE.at("ETH", 2)
    assert (at.id, at.time) == ("7", NOON + timedelta(seconds=7))
    assert str(at) == "tick 2 of ETH (2024-08-08T12:00:07Z)"


def test_a_start_needs_as_many_ticks_as_it_is_shown():
    skipped = SAMPLE.counts(1000)
    mine = [made(760), made(900), made(2000)]
    assert last_difference(mine, mine[1:]) == {"BTC": 760}
    found = warm_up(mine, mine[1:], skipped, SAMPLE, 1000)
    assert found.status is Status.PASSED
    assert "from its tick 11 on" in found.words


def test_a_longer_memory_is_told_with_the_tick_from_which_on_it_does_not_matter():
    skipped = SAMPLE.counts(1000)
    mine = [made(760), made(900), made(2000)]
    found = warm_up(mine, mine[2:], skipped, SAMPLE, 100)
    assert found.status is Status.WARNED
    assert (found.at.symbol, found.at.number) == ("BTC", 901)


def test_a_memory_without_an_end_is_told():
    skipped = SAMPLE.counts(1000)
    found = warm_up([made(760), made(2990)], [made(2991)], skipped, SAMPLE, 100)
    assert found.status is Status.WARNED
    assert "up to the end" in found.words
    assert found.at.number == 2991
