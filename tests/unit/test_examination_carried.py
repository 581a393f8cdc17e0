"""Figures that a process claims: taken as they were made, or not at all."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ntp.contract.messages import Fill, FillReason, MarketData, Side
from ntp.examination.carried import packed, unpacked
from ntp.examination.fault import ConfinedError
from ntp.statistics import EquityCurve, assess

START = datetime(2024, 1, 1, tzinfo=UTC)


def run():
    """Buys at 100, sells at 110, and buys again."""
    for number in range(100):
        at = START + number * timedelta(hours=20)
        yield MarketData(at, "BTC", 100.0 + number % 20, 1.0), None
        if number in {20, 30, 80}:
            side = Side.SELL if number == 30 else Side.BUY
            price = Decimal(100 + number % 20)
            yield None, Fill(str(number), "", "paper", "alpha", "BTC", side, Decimal(1), price, Decimal("0.1"),
                             Decimal(0), FillReason.SIGNAL, at, str(number))  # fmt: skip


@pytest.fixture
def made():
    curve, fills = EquityCurve(Decimal(1000)), []
    for tick, fill in run():
        if tick is not None:
            curve.add(tick)
        else:
            curve.fill(fill)
            fills.append(fill)
    return assess(fills, curve, strategy="alpha")


@pytest.fixture
def file(tmp_path, made):
    file = tmp_path / "assessment.json"
    file.write_bytes(packed(made))
    return file


def test_it_arrives_as_it_was(file, made):
    found = unpacked(file)
    assert packed(found) == packed(made)
    assert (found.figures, found.trips, found.deepest) == (made.figures, made.trips, made.deepest)


def change(told, path, value):
    *path, last = path
    for each in path:
        told = told[each]
    told[last] = value


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("figures",), [], "not the figures"),
        (("figures", 0, "key"), "profit\x1b", "profit"),
        (("figures", 0, "value"), "NaN", "no finite number"),
        (("figures", 1, "value"), "1e999999", "no finite number"),
        (("figures", 1, "value"), "much", "figures cannot be so"),
        (("trips", 0, "profit"), "Infinity", "no finite number"),
        (("trips", 0, "entered"), "2024-01-01T00:00:00", "no zone"),
        (("line", "values"), [], "more times than values"),
        (("months", 0, "month"), 13, "no year"),
        (("capital",), None, "capital"),
    ],
)
def test_what_cannot_be_is_refused(file, path, value, why):
    told = json.loads(file.read_bytes())
    change(told, path, value)
    file.write_text(json.dumps(told))
    with pytest.raises(ConfinedError, match=why):
        unpacked(file)


def test_its_words_are_the_ones_that_are_known(file):
    told = json.loads(file.read_bytes())
    change(told, ("figures", 0, "words"), "\x1b[2J")
    change(told, ("cautions",), ["one\n  ok\x1b[2J"])
    file.write_text(json.dumps(told))
    found = unpacked(file)
    assert found.figures[0].words == "what it began with"
    assert found.cautions == ["one ok[2J"]
    assert found["capital"] == Decimal(1000)
