"""The demo's verdict: what was sent must equal what arrived, or be named as lost."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ntp.contract.beat import Beat, Flow, Stage
from orchestrator.cli.demo_report import exhausted, summarise

NOW = datetime(2024, 8, 8, tzinfo=UTC)


def beat(instance, kind, *, sent=(), received=(), report=None, stage=Stage.EXHAUSTED, refused=0):
    return Beat(
        instance=instance,
        kind=kind,
        incarnation="1",
        generation=1,
        number=1,
        at=NOW,
        started=NOW,
        stage=stage,
        sent=[Flow(peer=peer, channel=channel, symbol="BTCUSDT", count=n) for peer, channel, n in sent],
        received=[
            Flow(peer=peer, channel=channel, symbol="BTCUSDT", count=n, lost=lost)
            for peer, channel, n, lost in received
        ],
        refused=refused,
        report=report or {},
    )  # fmt: skip


def book(fills=2):
    return {
        "alpha": {
            "signals": 3, "orders": 2, "fills": fills, "realised": "1.25", "unrealised": "0",
            "fees": "0.10", "equity": "10001.15",
        }
    }  # fmt: skip


def world(*, ticks=10, got=10, lost=0, signals=3, executed=3, fills=2):
    return {
        "feed": beat("feed", "data_source", sent=[("", "data", ticks)]),
        "alpha": beat(
            "alpha",
            "strategy",
            sent=[("", "signal", signals)],
            received=[("feed", "data", got, lost), ("paper", "fill", fills, 0)],
        ),
        "paper": beat(
            "paper",
            "executor",
            sent=[("alpha", "fill", fills)],
            received=[("feed", "data", ticks, 0), ("alpha", "signal", executed, 0)],
            report=book(fills),
        ),
    }


def test_a_run_in_which_everything_arrived_has_no_failure():
    summary = summarise(world())

    assert summary.failures == ()
    assert {(edge.producer, edge.consumer, edge.sent, edge.received) for edge in summary.edges} == {
        ("feed", "alpha", 10, 10),
        ("feed", "paper", 10, 10),
        ("alpha", "paper", 3, 3),
        ("paper", "alpha", 2, 2),
    }
    assert summary.books[0].equity == Decimal("10001.15")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"got": 9}, "feed -> alpha (data BTCUSDT): sent 10, received 9, lost 0, late 0"),
        (
            {"got": 9, "lost": 1},
            "feed -> alpha (data BTCUSDT): sent 10, received 9, lost 1, late 0",
        ),
        ({"executed": 2}, "alpha -> paper (signal BTCUSDT): sent 3, received 2, lost 0, late 0"),
        ({"signals": 0, "executed": 0}, "no signal arrived anywhere"),
        ({"fills": 0}, "no order was filled"),
    ],
)
def test_what_is_missing_is_named(changed, said):
    assert said in summarise(world(**changed)).failures


def test_a_beat_that_never_came_is_not_exhausted():
    beats = world()

    assert exhausted(beats, ["feed", "alpha", "paper"])
    assert not exhausted(beats, ["feed", "beta"])
    assert not exhausted({"feed": beat("feed", "data_source", stage=Stage.READY)}, ["feed"])
