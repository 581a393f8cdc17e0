"""The document of a run can be read back, says all there is, and tells what moved."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ntp.contract.messages import Fill, FillReason, MarketData, Side
from ntp.report_document import DocumentError, compare, document
from ntp.report_text import moved, sparkline, text
from ntp.statistics import EquityCurve, assess
from ntp.statistics.line import Line
from ntp.statistics.words import FIGURES

ROOT = Path(__file__).parents[2]
START = datetime(2024, 1, 1, 16, tzinfo=UTC)


def assessed(prices, *, every=3, strategy="alpha", step=timedelta(days=1), **given):
    """Buys and sells one unit in turns."""
    curve, fills = EquityCurve(Decimal(1000)), []
    for at, price in enumerate(prices):
        time = START + at * step
        curve.add(MarketData(time, "BTC", price, 1.0))
        if at % every == 1:
            side = Side.SELL if len(fills) % 2 else Side.BUY
            fills.append(
                Fill(str(at), "", "paper", strategy, "BTC", side, Decimal(1), Decimal(str(price)) + 1,
                     Decimal("0.5"), Decimal(0), FillReason.SIGNAL, time, str(at))
            )  # fmt: skip
            curve.fill(fills[-1])
    return assess(fills, curve, strategy=strategy, **given)


PRICES = [100 + (day * 37 % 23) - day / 10 for day in range(150)]


def test_a_document_is_plain_json_with_every_figure_and_trade():
    found = assessed(PRICES)
    told = json.loads(json.dumps(document([found]), allow_nan=False))

    [strategy] = told["strategies"]
    assert told["version"] == 1
    assert set(strategy["figures"]) == set(FIGURES)
    for key, figure in strategy["figures"].items():
        assert (figure["value"] is None) == ("why" in figure), key
    assert Decimal(strategy["figures"]["fees"]["value"]) == found["fees"] == Decimal("0.5") * 50
    assert len(strategy["trades"]) == 25
    assert sum(Decimal(one["net"]) for one in strategy["trades"]) == found["net_profit"]
    assert strategy["trades"][0]["entered"] == "2024-01-02T16:00:00Z"
    assert strategy["period"]["per_year"] == 365
    assert [(m["year"], m["month"]) for m in strategy["months"]] == [(2024, n) for n in range(1, 6)]


def test_the_same_run_gives_the_same_document_and_nothing_moved():
    one, two = document([assessed(PRICES)]), document([assessed(PRICES)])

    assert json.dumps(one) == json.dumps(two)
    assert compare(one, two) == []
    assert moved([]) == "no figure moved"


def test_what_moved_is_told_by_how_much_and_whether_it_is_better():
    checks = [{"name": "look-ahead", "passed": True}], [{"name": "look-ahead", "passed": False}]
    old = document([assessed(PRICES)], checks=checks[0])
    new = document([assessed(PRICES, every=5, strategy="renamed")], checks=checks[1])

    rows = {row.key: row for row in compare(old, new)}

    assert (rows["fees"].old, rows["fees"].new) == ("25.0", "15.0")
    assert (rows["fees"].difference, rows["fees"].better) == (-10, True)
    assert (rows["trades"].difference, rows["trades"].better) == (-10, None)
    assert (rows["look-ahead"].new, rows["look-ahead"].better) == ("failed", False)
    assert "capital" not in rows
    table = moved(list(rows.values())).splitlines()
    assert table[0].split() == ["figure", "before", "now", "change"]
    [fees] = [line for line in table if line.startswith("Fees")]
    assert fees.split() == ["Fees", "25.00", "15.00", "\N{MINUS SIGN}10.00", "better"]
    assert table[-1].split() == ["look-ahead", "passed", "failed", "failed", "worse"]


def test_the_same_amount_with_other_zeros_has_not_moved():
    old, new = document([assessed(PRICES)]), document([assessed(PRICES)])
    new["strategies"][0]["figures"]["fees"]["value"] = "25.000"

    assert compare(old, new) == []


def test_a_figure_that_came_or_went_has_no_difference():
    old, new = document([assessed(PRICES[:10])]), document([assessed(PRICES)])

    row = next(row for row in compare(old, new) if row.key == "cagr")
    assert (row.old, row.difference, row.better) == (None, None, None)
    assert "CAGR" in moved([row])


def test_strategies_are_compared_by_name_where_there_are_several():
    both = document([assessed(PRICES), assessed(PRICES, every=4, strategy="beta")])
    one = document([assessed(PRICES, strategy="beta")])

    rows = compare(both, one)

    assert {row.strategy for row in rows} == {"alpha", "beta"}
    assert all(row.new is None for row in rows if row.strategy == "alpha")
    assert moved(rows).splitlines()[0].split()[:2] == ["strategy", "figure"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "the older document has version None; this reads version 1"),
        ({"version": 2}, "the older document has version 2"),
        ({"version": 1}, "the older document has no strategies with figures"),
        ({"version": 1, "strategies": [{"strategy": "a", "figures": {"fees": 1}}]}, "no strategies with figures"),
        ([], "version None"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_in_words(given, words):
    with pytest.raises(DocumentError, match=words):
        compare(given, document([assessed(PRICES)]))


def test_a_terminal_is_told_the_figures_and_why_some_have_none():
    told = text(assessed(PRICES, step=timedelta(minutes=1)), width=100)

    assert "Net profit " in told
    assert "no value for CAGR, Calmar ratio: too short" in told
    assert max(map(len, told.splitlines())) <= 100
    assert "\x1b" not in told
    assert "\x1b[31m" in text(assessed(PRICES), color=True)
    narrow = text(assessed(PRICES), width=40)
    assert max(map(len, narrow.splitlines())) <= 66


def test_a_run_without_ticks_is_told_too():
    found = assess([], EquityCurve(Decimal(1000)))

    assert found["net_profit"] == 0
    assert found.figure("exposure").why == "no time went by"
    assert "Net profit" in text(found)
    json.dumps(document([found]), allow_nan=False)


def test_a_sparkline_follows_time_not_points():
    assert sparkline(Line([0, 1, 2, 10], [0.0, 7.0, 7.0, 0.0]), 5) == "████▁"
    assert sparkline(Line([5], [1.0]), 3) == "▄▄▄"
    assert sparkline(Line([], []), 3) == ""


def test_every_figure_and_field_is_documented():
    page = (ROOT / "docs" / "statistics.md").read_text()
    fields = (ROOT / "docs" / "json.md").read_text()
    told = document([assessed(PRICES)])

    assert [key for key in FIGURES if f"`{key}`" not in page] == []
    named = {*told, *told["strategies"][0], *told["strategies"][0]["trades"][0]}
    assert [key for key in named if f"`{key}`" not in fields] == []


def test_a_number_of_periods_that_is_given_counts_however_short_the_data_is():
    found = assessed(PRICES, step=timedelta(minutes=1), periods_per_year=1000)

    assert found.period.per_year == 1000
    assert isinstance(found["sharpe"], float)
    with pytest.raises(ValueError, match="give a number above 0"):
        assessed(PRICES, periods_per_year=0)
