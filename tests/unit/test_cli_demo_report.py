"""The demo's verdict: what was sent must equal what arrived, or be named as lost."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from ntp.contract.beat import Beat, Flow, Stage
from ntp.contract.names import Channel
from orchestrator.cli import demo_summary
from orchestrator.cli.demo_follow import Quiet
from orchestrator.cli.demo_report import EdgeCount, document, summarise

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


def test_what_came_late_is_a_failure_though_nothing_is_missing():
    made = world()
    flows = [msgspec.structs.replace(flow, late=1) for flow in made["alpha"].received]
    made["alpha"] = msgspec.structs.replace(made["alpha"], received=flows)
    assert (
        "feed -> alpha (data BTCUSDT): sent 10, received 10, lost 0, late 1"
        in summarise(made).failures
    )


def test_no_fill_that_arrived_is_a_failure_though_orders_were_filled():
    made = world()
    flows = [flow for flow in made["alpha"].received if flow.channel != "fill"]
    made["alpha"] = msgspec.structs.replace(made["alpha"], received=flows)
    assert summarise(made).failures == ("no fill arrived anywhere",)


def test_an_edge_counts_what_was_sent_to_its_consumer_alone():
    made = world()
    flow = Flow(peer="beta", channel="fill", symbol="BTCUSDT", count=7)
    made["paper"] = msgspec.structs.replace(made["paper"], sent=[*made["paper"].sent, flow])
    assert summarise(made).failures == ()


def test_a_book_is_of_an_executor_and_has_all_its_figures():
    made = world()
    made["alpha"] = msgspec.structs.replace(made["alpha"], report=book())
    report = {"alpha": book()["alpha"] | {"unrealised": "-3"}}
    made["paper"] = msgspec.structs.replace(made["paper"], report=report)
    [found] = summarise(made).books
    assert (found.executor, found.strategy) == ("paper", "alpha")
    assert (found.signals, found.orders, found.fills) == (3, 2, 2)
    assert (found.realised, found.unrealised, found.fees) == (
        Decimal("1.25"),
        Decimal(-3),
        Decimal("0.10"),
    )


def test_an_indicator_owes_no_value_of_a_tick_that_it_never_saw():
    made = EdgeCount("rsi", "alpha", Channel.INDICATOR, "BTCUSDT", 3, 2, 2, 0)
    assert made.adds_up
    assert not replace(made, lost=0).adds_up
    assert not replace(made, channel=Channel.DATA).adds_up


def test_what_was_refused_is_told_by_name():
    made = world()
    made["alpha"] = msgspec.structs.replace(made["alpha"], refused=4)
    told = document(summarise(made), ["late"], page="demo.html")
    assert (told["refused"], told["failures"], told["page"]) == (
        {"alpha": 4},
        ["late"],
        "demo.html",
    )


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
