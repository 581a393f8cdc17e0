"""Rights, compared as text: what a reviewer of the bus would want to read."""

from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from ntp.contract.names import Channel, Kind
from orchestrator.spec.model import Desired, Rights
from orchestrator.spec.rights import rights, tap
from orchestrator.spec.wiring import Edge
from tests.worlds.specs import spec


def desired(**kinds: Kind) -> Desired:
    return Desired("test", 1, {name: spec(name, kind) for name, kind in kinds.items()})


def edge(producer: str, channel: str, consumer: str, *symbols: str) -> Edge:
    return Edge(consumer=consumer, channel=Channel(channel), producer=producer, symbols=symbols)


def text(item: Rights) -> str:
    lines = [f"{item.instance} ({item.kind})"]
    lines += [f"export {each.channel} {each.subject}" for each in item.exports]
    lines += [
        f"import {each.channel} {each.account} {each.subject} -> {each.local}"
        for each in item.imports
    ]
    lines += [f"publish {each}" for each in item.publish]
    lines += [f"subscribe {each}" for each in item.subscribe]
    lines += [f"stream {each}" for each in item.streams]
    lines += [
        f"consumer {each.stream}/{each.durable} {','.join(each.filters) or 'all'}"
        for each in item.consumers
    ]
    lines += [f"capture {each.account} {each.subject} -> {each.local}" for each in item.captured]
    return "\n".join(lines) + "\n"


WORLD = desired(alpha=Kind.DATA_SOURCE, rsi=Kind.INDICATOR, beta=Kind.STRATEGY, gamma=Kind.EXECUTOR)


def test_a_source_may_say_its_data_and_its_beat():
    assert text(rights(WORLD, [])["alpha"]) == dedent("""\
        alpha (data_source)
        export stream beat
        export stream data.>
        import service CORE $JS.API.STREAM.MSG.GET.STATE_alpha -> recall
        import service CORE beat.alpha -> beat
        import stream CORE ctl.alpha -> ctl
        import service CORE state.alpha -> state
        publish beat
        publish data.>
        publish recall
        publish state
        subscribe _INBOX.>
        subscribe ctl
        stream MD_alpha
        stream STATE_alpha
        capture alpha data.> -> md.alpha.data.>
        """)


def test_an_indicator_hears_its_source_and_exports_values():
    found = rights(WORLD, [edge("alpha", "data", "rsi", "ETHUSDT", "BTC/USDT")])
    assert text(found["rsi"]) == dedent("""\
        rsi (indicator)
        export stream beat
        export stream ind.>
        import service CORE $JS.API.CONSUMER.MSG.NEXT.MD_alpha.rsi -> next.alpha
        import service CORE $JS.API.CONSUMER.RESET.MD_alpha.rsi -> reset.alpha
        import service CORE $JS.API.STREAM.MSG.GET.STATE_rsi -> recall
        import service CORE beat.rsi -> beat
        import stream CORE ctl.rsi -> ctl
        import service CORE state.rsi -> state
        import stream alpha data.BTC=2FUSDT -> in.alpha.data.BTC=2FUSDT
        import stream alpha data.ETHUSDT -> in.alpha.data.ETHUSDT
        publish beat
        publish ind.>
        publish next.alpha
        publish recall
        publish reset.alpha
        publish state
        subscribe _INBOX.>
        subscribe ctl
        subscribe in.alpha.data.BTC=2FUSDT
        subscribe in.alpha.data.ETHUSDT
        stream MD_rsi
        stream STATE_rsi
        consumer MD_alpha/rsi md.alpha.data.BTC=2FUSDT,md.alpha.data.ETHUSDT
        capture rsi ind.> -> md.rsi.ind.>
        """)


def test_a_strategy_is_stored_and_pulls_its_own_fills():
    edges = [
        edge("alpha", "data", "beta"),
        edge("rsi", "indicator", "beta", "BTCUSDT"),
        edge("gamma", "fill", "beta"),
    ]
    assert text(rights(WORLD, edges)["beta"]) == dedent("""\
        beta (strategy)
        export stream beat
        export stream sig.>
        import service CORE $JS.ACK.FILL_gamma.beta.> -> $JS.ACK.FILL_gamma.beta.>
        import service CORE $JS.API.CONSUMER.MSG.NEXT.FILL_gamma.beta -> next.gamma
        import service CORE $JS.API.CONSUMER.MSG.NEXT.MD_alpha.beta -> next.alpha
        import service CORE $JS.API.CONSUMER.MSG.NEXT.MD_rsi.beta -> next.rsi
        import service CORE $JS.API.CONSUMER.RESET.FILL_gamma.beta -> reset.gamma
        import service CORE $JS.API.CONSUMER.RESET.MD_alpha.beta -> reset.alpha
        import service CORE $JS.API.CONSUMER.RESET.MD_rsi.beta -> reset.rsi
        import service CORE $JS.API.STREAM.MSG.GET.STATE_beta -> recall
        import service CORE beat.beta -> beat
        import stream CORE ctl.beta -> ctl
        import service CORE dlq.beta.> -> dlq.>
        import service CORE sig.beta.> -> sig.>
        import service CORE state.beta -> state
        import stream alpha data.> -> in.alpha.data.>
        import stream rsi ind.BTCUSDT -> in.rsi.ind.BTCUSDT
        publish $JS.ACK.FILL_gamma.beta.>
        publish beat
        publish dlq.>
        publish next.alpha
        publish next.gamma
        publish next.rsi
        publish recall
        publish reset.alpha
        publish reset.gamma
        publish reset.rsi
        publish sig.>
        publish state
        subscribe _INBOX.>
        subscribe ctl
        subscribe in.alpha.data.>
        subscribe in.rsi.ind.BTCUSDT
        stream DLQ_beta
        stream SIG_beta
        stream STATE_beta
        stream TRY_beta
        consumer FILL_gamma/beta again.gamma.beta.>,fill.gamma.beta.>
        consumer MD_alpha/beta md.alpha.data.>
        consumer MD_rsi/beta md.rsi.ind.BTCUSDT
        """)


def test_an_executor_pulls_signals_and_stores_fills():
    edges = [edge("beta", "signal", "gamma"), edge("alpha", "data", "gamma", "BTCUSDT")]
    assert text(rights(WORLD, edges)["gamma"]) == dedent("""\
        gamma (executor)
        export stream beat
        export stream fill.>
        import service CORE $JS.ACK.SIG_beta.gamma.> -> $JS.ACK.SIG_beta.gamma.>
        import service CORE $JS.API.CONSUMER.MSG.NEXT.MD_alpha.gamma -> next.alpha
        import service CORE $JS.API.CONSUMER.MSG.NEXT.SIG_beta.gamma -> next.beta
        import service CORE $JS.API.CONSUMER.RESET.MD_alpha.gamma -> reset.alpha
        import service CORE $JS.API.CONSUMER.RESET.SIG_beta.gamma -> reset.beta
        import service CORE $JS.API.STREAM.MSG.GET.STATE_gamma -> recall
        import service CORE beat.gamma -> beat
        import stream CORE ctl.gamma -> ctl
        import service CORE dlq.gamma.> -> dlq.>
        import service CORE fill.gamma.> -> fill.>
        import service CORE state.gamma -> state
        import stream alpha data.BTCUSDT -> in.alpha.data.BTCUSDT
        publish $JS.ACK.SIG_beta.gamma.>
        publish beat
        publish dlq.>
        publish fill.>
        publish next.alpha
        publish next.beta
        publish recall
        publish reset.alpha
        publish reset.beta
        publish state
        subscribe _INBOX.>
        subscribe ctl
        subscribe in.alpha.data.BTCUSDT
        stream DLQ_gamma
        stream FILL_gamma
        stream STATE_gamma
        stream TRY_gamma
        consumer MD_alpha/gamma md.alpha.data.BTCUSDT
        consumer SIG_beta/gamma again.beta.gamma.>,sig.beta.>
        """)


def test_a_wish_for_all_symbols_swallows_the_single_ones():
    # Two imports that overlap would deliver every tick of that symbol twice.
    for edges in (
        [edge("alpha", "data", "beta", "BTCUSDT"), edge("alpha", "data", "beta")],
        [edge("alpha", "data", "beta"), edge("alpha", "data", "beta", "BTCUSDT")],
    ):
        found = rights(WORLD, edges)["beta"]
        assert [item.local for item in found.imports if item.account == "alpha"] == [
            "in.alpha.data.>"
        ]


def test_bars_and_ticks_of_one_symbol_are_one_import():
    ticks = edge("alpha", "data", "beta", "BTCUSDT")
    bars = Edge(
        consumer="beta", channel=Channel.DATA, producer="alpha", bars="5m", symbols=("BTCUSDT",)
    )
    assert rights(WORLD, [ticks, bars]) == rights(WORLD, [ticks])


def test_a_tap_hears_what_one_plugin_says_and_says_nothing():
    assert text(tap("gamma", Kind.EXECUTOR)) == dedent("""\
        tap gamma (tap)
        import stream gamma beat -> beat
        import stream gamma fill.> -> fill.>
        subscribe beat
        subscribe fill.>
        """)
    for name, each in WORLD.plugins.items():
        exported = {item.subject for item in rights(WORLD, [])[name].exports}
        assert set(tap(name, each.kind).subscribe) == exported


def test_an_edge_to_a_disabled_plugin_gives_nothing():
    without = desired(beta=Kind.STRATEGY)
    assert rights(without, [edge("alpha", "data", "beta")]) == rights(without, [])


def test_who_hears_reads_again_its_own_symbols_and_no_more():
    found = rights(
        WORLD,
        [
            edge("alpha", "data", "beta", "BTC/USDT", "ETHUSDT"),
            edge("rsi", "indicator", "beta"),
            edge("alpha", "data", "gamma", "SOL"),
        ],
    )
    assert [(each.stream, each.filters) for each in found["beta"].consumers] == [
        ("MD_alpha", ("md.alpha.data.BTC=2FUSDT", "md.alpha.data.ETHUSDT")),
        ("MD_rsi", ("md.rsi.ind.>",)),
    ]
    assert [(each.stream, each.filters) for each in found["gamma"].consumers] == [
        ("MD_alpha", ("md.alpha.data.SOL",))
    ]


_NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,6}[a-z0-9]", fullmatch=True)
_WORLDS = st.dictionaries(_NAMES, st.sampled_from(list(Kind)), min_size=1, max_size=6)


@given(_WORLDS, st.data())
def test_nobody_is_granted_what_another_says(kinds, data):
    names = st.sampled_from(sorted(kinds))
    channels = {
        Kind.DATA_SOURCE: "data",
        Kind.INDICATOR: "indicator",
        Kind.STRATEGY: "signal",
        Kind.EXECUTOR: "fill",
    }
    pairs = data.draw(st.lists(st.tuples(names, names), max_size=12))
    edges = [
        edge(producer, channels[kinds[producer]], consumer)
        for producer, consumer in pairs
        if producer != consumer
    ]
    found = rights(desired(**kinds), edges)
    assert list(found) == sorted(kinds)
    heard = {(each.consumer, each.producer) for each in edges}
    for name, item in found.items():
        for each in item.captured:
            assert each.account == name
        for consumer in item.consumers:
            assert consumer.durable == name
            assert (name, consumer.stream.partition("_")[2]) in heard
            if consumer.stream.startswith("MD_"):
                assert {(name, each.split(".")[1]) for each in consumer.filters} <= heard
        for each in item.imports:
            if each.account != "CORE":
                assert (name, each.account) in heard
            elif each.local == "recall":
                assert each.subject == f"$JS.API.STREAM.MSG.GET.STATE_{name}"
            elif each.subject.startswith("$JS"):
                stream, durable = each.subject.removesuffix(".>").split(".")[-2:]
                assert durable == name
                assert (name, stream.partition("_")[2]) in heard
            else:
                assert each.subject.split(".")[1] == name
        locals_ = [each.local for each in item.imports]
        assert len(locals_) == len(set(locals_))
