"""The wiring against a slow one that follows the words of the contract."""

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.names import Kind
from orchestrator.spec.model import Desired, Input
from orchestrator.spec.wiring import Channel, Wiring, edges, listens
from tests.worlds.specs import changed, spec

NAMES = {
    Kind.DATA_SOURCE: ["d1", "d2"],
    Kind.INDICATOR: ["i1", "i2"],
    Kind.STRATEGY: ["s1", "s2"],
    Kind.EXECUTOR: ["e1", "e2"],
}
MAY_NAME = {
    Kind.INDICATOR: ["d1", "d2"],
    Kind.STRATEGY: ["d1", "d2", "i1", "i2"],
    Kind.EXECUTOR: ["s1", "s2", "d1"],
}
SYMBOLS = st.lists(st.sampled_from("ABC"), max_size=2, unique=True).map(tuple)


@st.composite
def projects(draw):
    plugins = {}
    for kind, names in NAMES.items():
        for name in draw(st.lists(st.sampled_from(names), unique=True)):
            heard = draw(
                st.lists(st.sampled_from(MAY_NAME.get(kind, ["-"])), unique=True, max_size=3)
            )
            inputs = tuple(
                Input(
                    each,
                    draw(SYMBOLS),
                    draw(st.sampled_from([None, "5m"])) if each[0] == "d" else None,
                )
                for each in heard
                if kind is not Kind.DATA_SOURCE
            )
            plugins[name] = changed(spec(name, kind), inputs=inputs)
    order = draw(st.permutations(list(plugins)))
    return Desired("p", 1, {name: plugins[name] for name in order})


def hears(desired, name):
    """(producer, bars) -> symbols, as declared or by default."""
    plugin = desired.plugins[name]
    named = {(each.producer, each.bars): set(each.symbols) for each in plugin.inputs}
    if not plugin.inputs:
        kinds = {"i": "d", "s": "di", "e": "s", "d": ""}[name[0]]
        named = {(other, None): set() for other in desired.plugins if other[0] in kinds}
    return {key: symbols for key, symbols in named.items() if key[0] in desired.plugins}


def common(one, other):
    """Symbols in both, where an empty set is all of them; None: nothing."""
    if not one or not other:
        return one | other
    return (one & other) or None


def traded(desired, executor):
    """Source -> symbols that an executor hears."""
    heard = hears(desired, executor)
    sources = {}

    def add(source, symbols):
        before = sources.get(source)
        both = symbols if before is None else (before | symbols if before and symbols else set())
        sources[source] = both

    for (name, _), symbols in heard.items():
        if name[0] == "d":
            add(name, symbols)
            continue
        for (source, _), some in hears(desired, name).items():
            if source[0] == "d" and common(some, symbols) is not None:
                add(source, common(some, symbols))
    return sources


def expected(desired):
    found = set()
    for name in desired.plugins:
        for (producer, bars), symbols in hears(desired, name).items():
            if name[0] == "e" and producer[0] == "d":
                continue
            channel = {"d": "data", "i": "indicator", "s": "signal"}[producer[0]]
            found.add((producer, name, channel, bars, tuple(sorted(symbols))))
            if name[0] == "e":
                found.add((name, producer, "fill", None, tuple(sorted(symbols))))
        if name[0] == "e":
            for source, symbols in traded(desired, name).items():
                found.add((source, name, "data", None, tuple(sorted(symbols))))
    return found


@given(projects())
def test_the_wiring_is_what_the_contract_says(desired):
    found = edges(desired)
    drawn = [(e.producer, e.consumer, e.channel.value, e.bars, e.symbols) for e in found]
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) == expected(desired)


@given(projects())
def test_a_launch_file_shows_every_edge_into_it(desired):
    wiring = Wiring(desired)
    for name in desired.plugins:
        shown = [(each.instance, each.bars, tuple(each.symbols)) for each in wiring.listens(name)]
        assert shown == [(each.producer, each.bars, each.symbols) for each in wiring.into(name)]
        assert wiring.listens(name) == listens(desired, name)
        for each in wiring.listens(name):
            trades = each.kind is Kind.STRATEGY and name[0] == "e"
            assert (each.trading is not None) == trades
            heard = {key[0] for key in hears(desired, each.instance) if key[0][0] == "d"}
            assert each.listens_to == (
                sorted(heard) if trades or each.kind is Kind.INDICATOR else []
            )


@given(projects())
def test_fills_go_back_exactly_along_signals(desired):
    found = edges(desired)
    signals = {(e.producer, e.consumer, e.symbols) for e in found if e.channel is Channel.SIGNAL}
    fills = {(e.consumer, e.producer, e.symbols) for e in found if e.channel is Channel.FILL}
    assert signals == fills
