"""A page draws fewer points and the same picture, and its sums are the executor's own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.launch import Trading
from ntp.contract.messages import MarketData, SignalType, TradingSignal
from ntp.engine.desk import Desk
from ntp.engine.fills import Costs
from ntp.page import Run, Track
from ntp.page.account import accounts
from ntp.page.thin import spread, thin

START = datetime(2024, 8, 8, tzinfo=UTC)
PRICES = st.floats(1, 1000, allow_nan=False).map(lambda price: round(price, 2))


@given(st.lists(PRICES, min_size=1, max_size=300), st.integers(4, 60))
def test_thinning_keeps_first_last_and_every_extreme_of_each_stretch(values, most):
    kept = list(thin(values, most))

    assert len(kept) <= most or len(values) <= most
    assert kept == sorted(set(kept))
    assert {kept[0], kept[-1]} == {0, len(values) - 1}
    left = [values[at] for at in kept]
    assert (min(left), max(left)) == (min(values), max(values))
    # A point that was left out is between two neighbours of its own stretch, which were kept.
    stretches = most // 4
    for number in range(stretches if len(values) > most else 0):
        first, end = number * len(values) // stretches, (number + 1) * len(values) // stretches
        inside = [values[at] for at in kept if first <= at < end]
        assert (min(inside), max(inside)) == (min(values[first:end]), max(values[first:end]))


@given(st.lists(st.integers(), max_size=50), st.integers(0, 60))
def test_spreading_keeps_the_order_and_not_more_than_asked_for(things, most):
    kept = spread(list(enumerate(things)), most)

    assert len(kept) == min(most, len(things))
    assert list(kept) == sorted(set(kept))


STEPS = st.lists(
    st.tuples(st.sampled_from(["BTC", "ETH"]), PRICES, st.sampled_from(["", "BUY", "SELL"])),
    min_size=1,
    max_size=60,
)


@given(STEPS, st.booleans())
def test_equity_of_a_page_is_that_of_the_executors_book_at_every_moment(steps, short):
    trading = Trading(capital=Decimal(10_000), short=short)
    desk = Desk("paper", "alpha", trading, Costs.of({}), sample_s=1)
    tracks = {symbol: Track("feed", symbol) for symbol in ("BTC", "ETH")}
    fills, expected = [], []
    for second, (symbol, price, kind) in enumerate(steps):
        tick = MarketData(START + timedelta(seconds=second), symbol, price, 1.0, id=str(second))
        tracks[symbol].add(tick)
        change = desk.tick(tick)
        fills += change.fills if change else ()
        expected.append(float(desk.book.equity))
        if kind:
            wish = TradingSignal(symbol, SignalType(kind), 0.5, price, size=1.5)
            desk.signal(f"alpha:{second}", wish, tick.timestamp)
    run = Run("", list(tracks.values()), [], fills, {"alpha": trading.capital})

    [account] = accounts(run)

    book = desk.book
    # The book has each amount on a grid of 1e-8; the page adds up what fills say.
    grid = Decimal("1e-8") * (len(fills) + 2)
    assert abs(account.equity - book.equity) <= grid
    assert account.realised == book.realised
    assert account.fees == book.fees
    assert abs(account.unrealised - book.unrealised) <= grid
    # The line has points while something is held, and at fills; the last of a moment counts.
    line = account.assessment.line
    at = dict(zip(line.times, line.values, strict=True))
    for second, equity in enumerate(expected):
        moment = (START + timedelta(seconds=second)).timestamp()
        if moment in at:
            assert abs(at[moment] - equity) < 1e-6
    before = dict(zip(line.times, account.before_fees.values, strict=True))
    assert all(before[moment] >= at[moment] for moment in at)
    if at:
        assert abs(before[max(at)] - at[max(at)] - float(book.fees)) < 1e-6
