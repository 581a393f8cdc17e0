from datetime import UTC, datetime, timedelta

from ntp.contract.messages import MarketData
from ntp.examination.prices import Prices

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def ticks(prices, first=0):
    return [
        MarketData(NOON + timedelta(seconds=first + at), "BTC", float(price), 1.0)
        for at, price in enumerate(prices)
    ]


def test_of_a_short_run_every_price_is_drawn():
    drawn = Prices()
    drawn.take("BTC", ticks([1, 5, 2, 4]))
    times, prices = drawn.lines()["BTC"]
    assert prices == [1.0, 5.0, 2.0, 4.0]
    assert times == [NOON.timestamp() + at for at in range(4)]


def test_of_a_long_one_extremes_stay_and_memory_does_too():
    drawn = Prices()
    for block in range(30):
        prices = [100.0] * 10_000
        prices[777] = 100.0 + block
        prices[5_555] = 100.0 - block
        drawn.take("BTC", ticks(prices, first=block * 10_000))
    _, prices = drawn.lines()["BTC"]
    assert len(prices) < 10_000
    assert (max(prices), min(prices)) == (129.0, 71.0)
