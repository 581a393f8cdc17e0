"""The page of a run: what stands in it, that it adds up, and that it asks nobody for anything."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from msgspec import structs

from ntp.contract.messages import (
    Fill,
    FillReason,
    MarketData,
    Side,
    SignalMessage,
    SignalType,
    TickRef,
    TradingSignal,
)
from ntp.page import Run, Table, Track, charts, figures, render, tables, trades
from ntp.page.account import accounts, falls

START = datetime(2024, 8, 8, 12, tzinfo=UTC)
NASTY = "</script><script>alert(1)</script><b>&'\""


def at(second):
    return START + timedelta(seconds=second)


def track(symbol="BTC", prices=(100.0, 101.5, 99.0, 102.0), source="feed", note=""):
    made = Track(source, symbol, note=note)
    for second, price in enumerate(prices):
        made.add(MarketData(at(second), symbol, price, 1.0))
    return made


def signal(second=1, kind=SignalType.BUY, *, strategy="alpha", symbol="BTC", source="feed"):
    tick = TickRef(source=source, symbol=symbol, seq=second + 1, id=str(second), time=at(second))
    wish = TradingSignal(symbol, kind, 0.75, 101.5)
    return SignalMessage(f"{strategy}:{symbol}:{source}:{second}:0", strategy, "1", 1, tick, wish)


def fill(second=2, side=Side.BUY, *, price="99.5", quantity="2", fee="0.25", realised="0",
         strategy="alpha", symbol="BTC", cause=""):  # fmt: skip
    return Fill(
        f"paper:{second}:{side}", cause, "paper", strategy, symbol, side, Decimal(quantity),
        Decimal(price), Decimal(fee), Decimal(realised), FillReason.SIGNAL, at(second), str(second),
    )  # fmt: skip


def run(*, tracks=None, signals=None, fills=None, capital=None, **more):
    return Run(
        title=more.pop("title", "a run"),
        tracks=[track()] if tracks is None else tracks,
        signals=[signal()] if signals is None else signals,
        fills=[fill()] if fills is None else fills,
        capital={"alpha": Decimal(1000)} if capital is None else capital,
        **more,
    )


class Text(HTMLParser):
    """What a reader sees, tag by tag."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.addresses, self.cells, self.words = [], [], [], []
        self._within = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [
            value for name, value in attrs if name in ("src", "href", "data", "action")
        ]
        if tag not in ("meta", "link"):
            self._within.append(tag)
        if tag == "tr":
            self.cells.append([])

    def handle_endtag(self, tag):
        assert self._within.pop() == tag

    def handle_data(self, data):
        if self._within and self._within[-1] in ("td", "th"):
            self.cells[-1].append(data)
        elif self._within and self._within[-1] not in ("script", "style"):
            self.words.append(data.strip())


def drawn(page):
    """The data of the drawings, as the page's own program reads it."""
    return json.loads(re.search(r'id="run">(.*?)</script>', page, re.DOTALL)[1])


def test_figures_of_a_run_stand_in_its_tables_with_fees_apart():
    fills = [
        fill(fee="0.3"),
        fill(3, Side.SELL, price="102", quantity="1", fee="0.5", realised="2.5"),
    ]
    text = Text(render(run(fills=fills)))

    # One unit is still held: bought at 99.5, worth 102.
    symbol = [cells for cells in text.cells if cells[:2] == ["alpha", "BTC"]]
    assert symbol == [["alpha", "BTC", "1 BUY", "2", "+2.50", "+2.50", "+5.00", "0.80", "+4.20", "1"]]  # fmt: skip


def test_several_strategies_have_a_row_each_and_one_together():
    fills = [
        fill(fee="0.3"),
        fill(3, Side.SELL, price="102", quantity="1", fee="0.5", realised="2.5"),
    ]
    capital = {"alpha": Decimal(1000), "beta": Decimal(500)}
    text = Text(render(run(fills=fills, capital=capital)))

    heads = text.cells.index([column.removeprefix("#") for column in tables.STRATEGIES])
    alpha, beta, together = text.cells[heads + 1 : heads + 4]
    assert alpha == ["alpha", "1", "2", "+2.50", "+2.50", "+5.00", "0.80", "+4.20", "1,004.20", "0.13\u00a0%"]  # fmt: skip
    assert (beta[0], beta[-2]) == ("beta", "500.00")
    assert together == ["all", "1", "2", "+2.50", "+2.50", "+5.00", "0.80", "+4.20", "1,504.20"]
    # All statistics have a column for each.
    assert ["Result", "alpha", "beta", "meaning"] in text.cells


def test_equity_goes_with_the_price_from_the_fill_on_and_fees_are_given_back_beside_it():
    [account] = accounts(run())

    # Bought 2 at 99.5 for a fee of 0.25 at the tick of 99; then the price is 102.
    line = account.assessment.line
    assert [time - START.timestamp() for time in line.times] == [0, 2, 2, 3]
    assert list(line.values) == [1000, 1000, 1000 - 1 - 0.25, 1000 + 5 - 0.25]
    assert list(account.before_fees.values) == [1000, 1000, 999, 1005]
    assert account.equity == Decimal("1004.75")


def test_a_fill_whose_tick_never_came_counts_all_the_same():
    [account] = accounts(run(tracks=[], fills=[fill(fee="1")]))

    assert list(account.assessment.line.values) == [1000, 999]
    assert (account.equity, account.unrealised) == (999, 0)


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        ([100, 110, 99, 120, 60], [0, 0, 0.1, 0, 0.5]),
        ([90, 100], [0.1, 0]),  # the capital is the first peak
        ([], []),
    ],
)
def test_a_drawdown_is_the_fall_from_the_highest_so_far(equity, expected):
    assert list(falls(equity, 100.0)) == pytest.approx(expected)


def test_signals_and_fills_are_marked_at_their_price_and_time():
    [chart] = [one for one in drawn(render(run()))["charts"] if "marks" in one]

    assert chart["marks"] == [
        [1000, 101.5, 0, 0, "alpha: BUY signal at 101.5, confidence 0.75"],
        [2000, 99.5, 3, 0, "alpha: bought 2 at 99.500, fee 0.25"],
    ]
    assert chart["lines"][0]["t"] == [0, 1000, 1000, 1000]
    assert chart["lines"][0]["v"] == [1000, 15, -25, 30]  # tenths, each as the step from the last


def test_two_sources_of_one_symbol_keep_their_signals_and_fills_apart():
    tracks = [track(source="one"), track(source="two")]
    signals = [signal(1, source="one"), signal(2, source="two")]
    fills = [fill(2, cause=signals[0].id), fill(3, cause=signals[1].id)]

    marks = [one["marks"] for one in drawn(render(run(tracks=tracks, signals=signals, fills=fills)))["charts"] if "marks" in one]  # fmt: skip

    assert [[mark[0] for mark in each] for each in marks] == [[1000, 2000], [2000, 3000]]


def test_what_is_synthetic_says_so_wherever_it_is_shown():
    page = render(run(tracks=[track(note="synthetic"), track("ETH")], fills=[fill()]))

    [noted, other] = [one for one in drawn(page)["charts"] if "marks" in one]
    assert (noted["note"], other["note"]) == ("synthetic", "")
    assert ["alpha", "BTC (synthetic)"] in [cells[:2] for cells in Text(page).cells]
    assert re.search(r"<h3>BTC.*?synthetic.*?</h3>", page)
    assert 'aria-label="price of BTC (synthetic), ' in page


def test_names_of_plugins_are_text_and_nothing_else():
    page = render(
        run(
            title=NASTY,
            tracks=[track(NASTY, source=NASTY, note=NASTY)],
            signals=[signal(strategy=NASTY, symbol=NASTY, source=NASTY)],
            fills=[fill(strategy=NASTY, symbol=NASTY)],
            capital={NASTY: Decimal(1)},
            words=[NASTY],
            tables=[Table(NASTY, (NASTY, "#" + NASTY), [(NASTY, NASTY)], NASTY)],
        )
    )
    text = Text(page)

    assert text.tags.count("script") == 3
    assert "b" not in text.tags
    assert NASTY in text.words
    assert drawn(page)["strategies"] == [NASTY]


def test_it_asks_the_network_for_nothing_and_forbids_itself_to():
    page = render(run())

    assert Text(page).addresses == ["data:,"]
    assert not re.search(r"https?:|//[a-z]|\bimport\b|fetch|XMLHttp|url\(", page)
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src &#x27;none&#x27;; img-src data:; style-src ")


@pytest.mark.parametrize(
    "given",
    [
        {"tracks": [], "signals": [], "fills": [], "capital": {}},
        {"tracks": [Track("feed", "BTC")], "signals": [], "fills": []},
        {"tracks": [track(prices=(5.0,))], "signals": [], "fills": []},
        {"capital": {}},
    ],
)
def test_a_run_in_which_little_or_nothing_happened_has_a_page_too(given):
    assert "a run" in Text(render(run(**given))).words


def test_a_long_run_keeps_its_page_small_and_says_what_it_left_out():
    seconds = 60_000
    names = [f"S{number}" for number in range(charts.MOST_CHARTS + 3)]
    tracks = [track(names[0], [100 + second % 97 / 7 for second in range(seconds)])]
    tracks += [track(name, (1.0, 2.0)) for name in names[1:]]
    signals = [signal(second, symbol=names[0]) for second in range(9_000)]
    fills = [fill(second, symbol=names[0]) for second in range(9_000)]
    page = render(run(tracks=tracks, signals=signals, fills=fills))

    assert len(page.encode()) < 3_000_000
    first = drawn(page)["charts"][0]
    assert len(first["lines"][0]["t"]) <= charts.MOST_POINTS
    assert len(first["marks"]) <= charts.MOST_MARKS
    assert "9,000 signals, 9,000 fills; 50 signals and 100 fills are marked" in page
    assert "3 further symbols are not drawn" in page


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (figures.amount(Decimal("-1234.567")), "\u22121,234.57"),
        (figures.amount(Decimal("-0.001")), "0.00"),
        (figures.gain(Decimal("0.001")), "0.00"),
        (figures.gain(Decimal("0.01")), "+0.01"),
        (figures.quantity(Decimal("0.00324000")), "0.00324"),
        (figures.quantity(Decimal(1200)), "1,200"),
        (figures.decimals([61837.63, 0.1, 7]), 2),
        (figures.decimals([5.0]), 0),
        (figures.length(12.34), "12.3 s"),
        (figures.length(86), "1 min 26 s"),
        (figures.length(90_000), "1 d 1 h"),
    ],
)
def test_figures_are_written_as_people_read_them(shown, expected):
    assert shown == expected


def turns(count, *, days=1, strategy="alpha", calming=0):
    """A run that is long and flat in turns; `calming`: how much wilder it begins than it ends."""
    prices = [
        round(100 + (number * 37 % 23) * (1 + calming * (1 - number / 2 / count)), 4)
        for number in range(2 * count)
    ]
    made = Track("feed", "BTC")
    fills = []
    for number, price in enumerate(prices):
        made.add(MarketData(START + timedelta(days=number * days), "BTC", float(price), 1.0))
        side = Side.SELL if number % 2 else Side.BUY
        one = fill(number, side, price=str(price), quantity="1", strategy=strategy)
        fills.append(structs.replace(one, time=START + timedelta(days=number * days)))
    return run(tracks=[made], signals=[], fills=fills)


def test_names_of_strategies_are_text_in_every_table_and_drawing_too():
    made = turns(60, strategy=NASTY)
    page = render(replace(made, capital={NASTY: Decimal(1000), "<u>": Decimal(1)}))
    text = Text(page)

    assert f"Monthly returns of {NASTY}" in "".join(text.words)
    assert f"Distribution of returns: {NASTY}" in text.words
    assert ["Result", NASTY, "<u>", "meaning"] in text.cells
    assert not {"b", "u"} & set(text.tags)
    assert text.tags.count("script") == 3


def test_months_are_coloured_by_what_they_brought():
    page = render(turns(60))

    rows = [cells for cells in Text(page).cells if cells[:1] == ["2024"]]
    assert len(rows[0]) >= 6  # a year, its months with a return, and the whole
    assert re.search(r'class="won[1-6]">\d', page)
    assert re.search(r'class="lost[1-6]">\N{MINUS SIGN}\d', page)
    assert "Monthly returns" not in render(turns(3))


def test_a_heat_map_is_coloured_by_its_values_on_either_side_of_nothing():
    cells = [("10", "0.400", "-0.100"), ("20", "0.000", "")]
    heat = [(None, 0.4, -0.1), (None, 0.0, None)]
    shown = tables.table(Table("Sharpe ratio", ("period", "#1", "#2"), cells, heat=heat))
    assert (
        '<td>10</td><td class="number won6">0.400</td><td class="number lost3">-0.100</td>' in shown
    )
    assert '<td>20</td><td class="number">0.000</td><td class="number"></td>' in shown


def test_trades_stand_in_a_table_with_what_sorts_them():
    page = render(turns(4))

    rows = [cells for cells in Text(page).cells if cells[1:3] == ["BTC", "long"]]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    # Bought at 100 and sold at 114, for twice a fee of 0.25.
    assert rows[0][3:] == ["2024-08-08 12:00", "2024-08-09 12:00", "1 d 0 h", "1", "100.0000", "114.0000", "+14.00", "0.50", "+13.50", "13.50\u00a0%", "signal"]  # fmt: skip
    assert 'data-by="13.5"' in page
    assert 'data-by="86400"' in page


def test_of_many_trades_the_best_the_worst_and_the_latest_are_shown():
    count = trades.MOST_ROWS + 700
    made = turns(count, days=0.01, calming=1)
    page = render(made)

    rows = [cells for cells in Text(page).cells if cells[1:3] == ["BTC", "long"]]
    numbers = [int(row[0].replace(",", "")) for row in rows]
    nets = [float(row[11].replace(figures.MINUS, "-")) for row in rows]
    every = [float(trip.net) for trip in accounts(made)[0].assessment.trips]
    assert len(rows) == trades.MOST_ROWS
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == count
    assert sorted(nets)[:500] == pytest.approx(sorted(every)[:500], abs=0.006)
    assert sorted(nets)[-500:] == pytest.approx(sorted(every)[-500:], abs=0.006)
    assert "1,500 of 2,200 are shown: the best and the worst 500, and the latest" in page
    assert len(page.encode()) < 3_000_000


def test_all_statistics_say_what_they_mean_or_why_they_have_no_value():
    text = Text(render(run()))

    rows = {cells[0]: cells for cells in text.cells if cells}
    assert rows["Fees"] == ["Fees", "0.25", "of all fills"]
    page = render(run())
    assert "No value: too short for a figure a year: less than 5 days." in page
    assert "1 position is still open at the end" in page


def test_a_track_is_bounded_and_keeps_its_extremes():
    long = Track("feed", "BTC", most=100)
    for second in range(5_000):
        long.add(MarketData(at(second), "BTC", 100.0 + (second == 1234) - (second == 4321), 1.0))
    times, prices = long.points()

    assert len(long) == 5_000
    assert len(prices) <= 108
    assert (min(prices), max(prices)) == (99, 101)
    assert (times[0], times[-1]) == (at(0).timestamp(), at(4_999).timestamp())


def test_an_assessment_that_is_given_is_shown_and_not_made_anew():
    made = run()
    [account] = accounts(made)
    given = replace(account.assessment, cautions=["seen before"])

    page = render(replace(made, assessments={"alpha": given}))

    assert "seen before" in page
