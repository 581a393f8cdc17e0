"""The demo's verdict: what was sent must equal what arrived, or be named as lost."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ntp.contract.beat import Beat, Flow, Stage
from orchestrator.cli import demo_summary
from orchestrator.cli.demo_follow import Quiet
from orchestrator.cli.demo_report import summarise

NOW = datetime(2024, 8, 8, tzinfo=UTC)


def beat(instance, kind, *, sent=(), received=(), report=None, number=1, refused=0):
    return Beat(
        instance=instance,
        kind=kind,
        incarnation="1",
        generation=1,
        number=number,
        at=NOW,
        started=NOW,
        stage=Stage.READY,
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


def test_what_a_source_never_sent_on_is_lost_before_the_first_edge():
    summary = summarise(world(), played={"feed": {"BTCUSDT": 12}, "other": {"AAPL": 3}})

    assert (
        "exchange -> feed (data BTCUSDT): sent 12, received 10, lost 2, late 0" in summary.failures
    )
    assert "exchange -> other (data AAPL): sent 3, received 0, lost 3, late 0" in summary.failures
    assert summarise(world(), played={"feed": {"BTCUSDT": 10}}).failures == ()


def test_a_source_that_sent_more_than_there_was_is_a_failure_too():
    [failure] = summarise(world(), played={"feed": {"BTCUSDT": 9}}).failures

    assert failure == "exchange -> feed (data BTCUSDT): sent 9, received 10, lost 0, late 0"


def test_edges_are_told_as_data_flows_and_synthetic_symbols_as_such():
    played = {"feed": {"BTCUSDT": 10, "AAPL": 0}}
    summary = summarise(world(), played=played, synthetic={"AAPL"})

    told = [(row["edge"], row["sent"], row["symbols"]) for row in demo_summary.rows(summary.edges)]
    assert told == [
        ("exchange -> feed", 10, "BTCUSDT; synthetic: AAPL"),
        ("feed -> alpha", 10, "BTCUSDT"),
        ("feed -> paper", 10, "BTCUSDT"),
        ("alpha -> paper", 3, "BTCUSDT"),
        ("paper -> alpha", 2, "BTCUSDT"),
    ]


def test_fees_are_told_apart_from_what_was_gained():
    said = demo_summary.result(summarise(world()).books)

    assert said.startswith("P&L before fees +1.25, fees 0.10, result +1.15;")


def test_it_is_quiet_when_nobody_has_moved_for_some_beats():
    quiet = Quiet()
    first = {"feed": beat("feed", "data_source", sent=[("", "data", 1)])}

    def later(number, count=1):
        return {"feed": beat("feed", "data_source", sent=[("", "data", count)], number=number)}

    assert not quiet.note(first)
    assert not quiet.note(later(2))
    assert not quiet.note(later(3, count=2)), "it moved"
    assert not quiet.note(later(4, count=2))
    assert not quiet.note(later(4, count=2)), "the same beat again tells nothing new"
    assert quiet.note(later(5, count=2))
