from pathlib import Path

from ntp.contract.launch import Trading
from ntp.contract.names import Channel
from orchestrator.spec import load
from orchestrator.spec.model import Artifact
from orchestrator.spec.wiring import Edge, Wiring, edges, listens


def desired(text):
    declared = load.read([("p.yaml", text)], environment={}, project="desk")
    found = {
        each.name: Artifact(
            plugin=each.plugin,
            kind=each.kind,
            version="1.0.0",
            digest="sha256:x",
            entrypoint="m:C",
            config_schema={"type": "object"},
            egress=(),
            secrets=(),
            requirements=(),
            code=Path("nowhere"),
            origin="bundled",
        )
        for each in declared.wanted()
    }
    return load.resolve(declared, found, revision=1)


def drawn(text):
    """Edges as people draw them."""
    return [
        f"{e.producer} -{e.channel}{'/' + e.bars if e.bars else ''}-> {e.consumer}"
        + (f" {','.join(e.symbols)}" if e.symbols else "")
        for e in edges(desired(text))
    ]


DEFAULT = """
plugins:
  data_sources: [{name: d1}, {name: d2}]
  indicators: [{name: i}]
  strategies: [{name: s1}, {name: s2, capital: 500, short: true, pyramid: 2}]
  executors: [{name: e}]
"""


def test_by_default_everybody_hears_everything_of_their_kinds():
    assert drawn(DEFAULT) == [
        "d1 -data-> e",
        "d2 -data-> e",
        "s1 -signal-> e",
        "s2 -signal-> e",
        "d1 -data-> i",
        "d2 -data-> i",
        "d1 -data-> s1",
        "d2 -data-> s1",
        "i -indicator-> s1",
        "e -fill-> s1",
        "d1 -data-> s2",
        "d2 -data-> s2",
        "i -indicator-> s2",
        "e -fill-> s2",
    ]


def test_inputs_replace_the_default_and_executors_follow_their_strategies():
    assert drawn(
        """
plugins:
  data_sources: [{name: d1}, {name: d2}, {name: d3}]
  indicators: [{name: i, inputs: [d1]}]
  strategies:
    - {name: s1, inputs: [{from: d1, symbols: [B, A]}, {from: d1, bars: 5m, symbols: [C]}, i]}
    - {name: s2, inputs: [{from: d2, symbols: [X]}]}
    - {name: s3, inputs: [d3]}
  executors:
    - {name: e1, inputs: [s1, {from: s2, symbols: [X, Y]}]}
    - {name: e2, inputs: [{from: s1, symbols: [A]}, {from: d3, symbols: [Z]}]}
"""
    ) == [
        "d1 -data-> e1 A,B,C",
        "d2 -data-> e1 X",
        "s1 -signal-> e1",
        "s2 -signal-> e1 X,Y",
        "d1 -data-> e2 A",
        "d3 -data-> e2 Z",
        "s1 -signal-> e2 A",
        "d1 -data-> i",
        "d1 -data-> s1 A,B",
        "d1 -data/5m-> s1 C",
        "i -indicator-> s1",
        "e1 -fill-> s1",
        "e2 -fill-> s1 A",
        "d2 -data-> s2 X",
        "e1 -fill-> s2 X,Y",
        "d3 -data-> s3",
    ]


def test_an_executor_trades_on_ticks_where_its_strategy_hears_bars():
    assert drawn(
        """
plugins:
  data_sources: [{name: d}]
  strategies: [{name: s, inputs: [{from: d, bars: 5m}]}]
  executors: [{name: e}]
"""
    ) == ["d -data-> e", "s -signal-> e", "d -data/5m-> s", "e -fill-> s"]


def test_one_strategy_that_hears_all_symbols_makes_its_executor_hear_all():
    assert "d -data-> e" in drawn(
        """
plugins:
  data_sources: [{name: d}]
  strategies: [{name: s1, inputs: [{from: d, symbols: [A]}]}, {name: s2}]
  executors: [{name: e}]
"""
    )


def test_an_executor_does_not_hear_data_that_it_may_not_trade():
    assert drawn(
        """
plugins:
  data_sources: [{name: d}]
  strategies: [{name: s, inputs: [{from: d, symbols: [A]}]}]
  executors: [{name: e, inputs: [{from: s, symbols: [B]}]}]
"""
    ) == ["s -signal-> e B", "d -data-> s A", "e -fill-> s B"]


def test_the_launch_file_says_what_each_input_is():
    whole = desired(DEFAULT)
    assert listens(whole, "d1") == ()
    (first, second) = listens(whole, "i")
    assert (first.instance, first.kind, second.instance) == ("d1", "data_source", "d2")
    indicator = next(each for each in listens(whole, "s1") if each.kind == "indicator")
    assert (indicator.listens_to, indicator.trading) == (["d1", "d2"], None)
    strategy = next(each for each in listens(whole, "e") if each.instance == "s2")
    assert strategy.trading == Trading(capital="500", short=True, pyramid=2)
    assert strategy.listens_to == ["d1", "d2"]
    assert [each.instance for each in listens(whole, "e")] == ["d1", "d2", "s1", "s2"]
    assert [each.kind for each in listens(whole, "s1")] == [
        "data_source",
        "data_source",
        "indicator",
        "executor",
    ]


def test_the_order_of_the_file_changes_nothing():
    backwards = """
plugins:
  executors: [{name: e}]
  strategies: [{name: s2, capital: 500, short: true, pyramid: 2}, {name: s1}]
  indicators: [{name: i}]
  data_sources: [{name: d2}, {name: d1}]
"""
    one, other = desired(DEFAULT), desired(backwards)
    assert edges(one) == edges(other)
    assert all(listens(one, name) == listens(other, name) for name in one.plugins)


def test_one_wiring_answers_for_all():
    whole = desired(DEFAULT)
    wiring = Wiring(whole)
    assert wiring.edges == edges(whole)
    assert wiring.into("i") == (
        Edge("i", Channel.DATA, "d1"),
        Edge("i", Channel.DATA, "d2"),
    )
    assert all(wiring.listens(name) == listens(whole, name) for name in whole.plugins)


def test_the_policy_of_an_input_reaches_the_launch_file():
    text = """
plugins:
  data_sources: [{name: d1}, {name: d2}]
  strategies: [{name: s, inputs: [{from: d1, policy: latest}, {from: d2}]}]
  executors: [{name: e}]
"""
    found = {each.instance: each.policy for each in listens(desired(text), "s")}
    assert (found["d1"], found["d2"]) == ("latest", "all")
    assert {each.policy for each in listens(desired(text), "e")} == {"all"}, "it trades on all"
