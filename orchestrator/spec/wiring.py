"""Who hears whom: the declared inputs, or the default ones.

By default indicators hear every data source; strategies every data source and indicator; executors
every strategy and the data that it trades on. Fills go back from an executor to the strategies that
it serves.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from ntp.contract.control import Limits
from ntp.contract.launch import Listen, Policy, Trading
from ntp.contract.names import Channel, Kind
from orchestrator.spec.model import Desired, Input, PluginSpec


class Edge(msgspec.Struct, frozen=True, order=True):
    """`symbols` sorted; empty: all that the producer has. `bars` as written, such as 5m; None: ticks."""

    consumer: str
    channel: Channel
    producer: str
    bars: str | None = None
    symbols: tuple[str, ...] = ()
    policy: Policy = "all"


_RANK = {channel: rank for rank, channel in enumerate(Channel)}
_CHANNELS = {
    Kind.DATA_SOURCE: Channel.DATA,
    Kind.INDICATOR: Channel.INDICATOR,
    Kind.STRATEGY: Channel.SIGNAL,
    Kind.EXECUTOR: Channel.FILL,
}
_HEARD_BY_DEFAULT = {
    Kind.DATA_SOURCE: (),
    Kind.INDICATOR: (Kind.DATA_SOURCE,),
    Kind.STRATEGY: (Kind.DATA_SOURCE, Kind.INDICATOR),
    Kind.EXECUTOR: (Kind.STRATEGY,),
}


class Wiring:
    """All edges of a Desired, found once. For many questions: `edges` and `listens` compute anew."""

    def __init__(self, desired: Desired) -> None:
        self._plugins = desired.plugins
        self._by_kind: dict[Kind, list[str]] = defaultdict(list)
        for name in sorted(desired.plugins):
            self._by_kind[desired.plugins[name].kind].append(name)
        self._into: dict[str, list[Edge]] = {name: [] for name in desired.plugins}
        # In this order, for an executor's data is that of its strategies.
        for kind in (Kind.INDICATOR, Kind.STRATEGY, Kind.EXECUTOR):
            for name in self._by_kind[kind]:
                self._into[name] = self._declared(desired.plugins[name])
        for name in self._by_kind[Kind.EXECUTOR]:
            self._serve(name)
        for into in self._into.values():
            if len(into) > 1:
                into.sort(key=lambda edge: (_RANK[edge.channel], edge.producer, edge.bars or ""))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge, by consumer; within one: data, indicators, signals, fills, then by producer."""
        return tuple(edge for name in sorted(self._into) for edge in self._into[name])

    def into(self, name: str) -> tuple[Edge, ...]:
        """Return what `name` hears."""
        return tuple(self._into[name])

    def listens(self, name: str) -> tuple[Listen, ...]:
        """Return the inputs of `name` as its launch file shows them, in the order of `into`."""
        return tuple([self._listen(edge) for edge in self._into[name]])

    def _declared(self, spec: PluginSpec) -> list[Edge]:
        found = []
        for each in spec.inputs or self._default(spec.kind):
            producer = self._plugins.get(each.producer)
            if producer is not None:
                channel = _CHANNELS[producer.kind]
                symbols = tuple(sorted(set(each.symbols))) if each.symbols else ()
                found.append(
                    Edge(spec.name, channel, each.producer, each.bars, symbols, each.policy)
                )
        return found

    def _default(self, kind: Kind) -> list[Input]:
        return [Input(name) for heard in _HEARD_BY_DEFAULT[kind] for name in self._by_kind[heard]]

    def _serve(self, executor: str) -> None:
        """Add the data that an executor trades on, and its fills."""
        signals = [edge for edge in self._into[executor] if edge.channel is Channel.SIGNAL]
        traded = [edge for edge in self._into[executor] if edge.channel is Channel.DATA]
        for signal in signals:
            fill = Edge(signal.producer, Channel.FILL, executor, symbols=signal.symbols)
            self._into[signal.producer].append(fill)
            traded += (
                Edge(executor, Channel.DATA, edge.producer, symbols=common)
                for edge in self._into[signal.producer]
                if edge.channel is Channel.DATA
                and (common := _common(edge.symbols, signal.symbols)) is not None
            )
        self._into[executor] = [*signals, *_united(executor, traded)]

    def _listen(self, edge: Edge) -> Listen:
        producer, consumer = self._plugins[edge.producer], self._plugins[edge.consumer]
        traded = producer.kind is Kind.STRATEGY and consumer.kind is Kind.EXECUTOR
        sources: list[str] = []
        if traded or producer.kind is Kind.INDICATOR:
            data = (each for each in self._into[edge.producer] if each.channel is Channel.DATA)
            sources = sorted({each.producer for each in data})
        return Listen(
            instance=edge.producer,
            kind=producer.kind,
            symbols=list(edge.symbols),
            bars=edge.bars,
            policy=edge.policy,
            trading=trading(producer) if traded else None,
            listens_to=sources,
        )


def edges(desired: Desired) -> tuple[Edge, ...]:
    """Return every edge of the wiring, in a fixed order."""
    return Wiring(desired).edges


def listens(desired: Desired, name: str) -> tuple[Listen, ...]:
    """Return the inputs of one instance. For many instances ask one `Wiring`."""
    return Wiring(desired).listens(name)


def trading(spec: PluginSpec) -> Trading:
    """Return how a strategy's signals become positions, for its own launch file and its executors'."""
    return Trading(
        capital=format(spec.capital, "f"),
        short=spec.short,
        pyramid=spec.pyramid,
        risk=dict(spec.risk),
    )


def limits(spec: PluginSpec, listens: Iterable[Listen]) -> Limits:
    """Return the risk limits of an executor that hears these."""
    theirs = {each.instance: each.trading.risk for each in listens if each.trading is not None}
    return Limits(own=dict(spec.risk), strategies=theirs)


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the symbols in both, where none means all; None if nothing is in both."""
    if not one or not other:
        return one or other
    return tuple(sorted(set(one) & set(other))) or None


def _united(executor: str, traded: Iterable[Edge]) -> Iterator[Edge]:
    """Yield one edge for each producer, with the symbols of all of them; none means all."""
    symbols: dict[str, set[str]] = defaultdict(set)
    whole: set[str] = set()
    for edge in traded:
        symbols[edge.producer].update(edge.symbols)
        if not edge.symbols:
            whole.add(edge.producer)
    for name, some in symbols.items():
        heard = () if name in whole else tuple(sorted(some))
        yield Edge(executor, Channel.DATA, name, symbols=heard)
