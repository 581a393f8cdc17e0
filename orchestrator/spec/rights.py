"""What each instance may do on the bus: the wiring, turned into exports, imports and allow-lists.

A plugin's account sees its own short names and what was wired to it, nothing else; the server maps
between accounts (the table in ntp.contract.subjects). So rights are plain values, compared as text
in tests, and the same edge always gives the same rights.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ntp.contract import subjects
from ntp.contract.names import Channel, Kind
from orchestrator.spec.model import Consumer, Desired, Export, Import, Rights
from orchestrator.spec.wiring import Edge

CORE = "CORE"
"""The controller's own account; no instance can have this name."""
TAP = "tap"
"""Kind of a passing listener, and the first word of its name: no instance can have one with a blank."""
STREAM, SERVICE = "stream", "service"

_INBOX = "_INBOX.>"
_SAYS = {
    Kind.DATA_SOURCE: "data.>",
    Kind.INDICATOR: "ind.>",
    Kind.STRATEGY: "sig.>",
    Kind.EXECUTOR: "fill.>",
}
_FLOWS = {Channel.DATA: "data", Channel.INDICATOR: "ind"}
_CAPTURED = {Kind.DATA_SOURCE: "data", Kind.INDICATOR: "ind"}
_STORED = {
    Kind.STRATEGY: ("sig", subjects.signal_stream),
    Kind.EXECUTOR: ("fill", subjects.fill_stream),
}
RECEIVERS = frozenset(_STORED)
"""They are sent what must not be lost, and have a stream for what they cannot take."""


def rights(desired: Desired, edges: Sequence[Edge]) -> Mapping[str, Rights]:
    """Return the rights of every instance, in order of name; every tuple in them is sorted.

    Edges between instances that are not in `desired` (a disabled producer) give nothing.
    """
    incoming: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        if edge.producer in desired.plugins and edge.consumer in desired.plugins:
            incoming[edge.consumer].append(edge)
    return {
        name: _of_one(name, desired.plugins[name].kind, incoming[name])
        for name in sorted(desired.plugins)
    }


def concerned(now: Mapping[str, Rights], before: Mapping[str, Rights]) -> frozenset[str]:
    """Return whom a change of rights concerns: who is new or has others, is read by one of them, or
    hears one that is new.

    The first reads a stream of the second, which must not be written to before it has its place there;
    the third knows the account of a namesake that is gone.
    """
    changed = {name for name, each in now.items() if before.get(name) != each}
    new = now.keys() - before.keys()
    read = {each.stream for name in changed for each in now[name].consumers}
    owners = {name for name, each in now.items() if not read.isdisjoint(each.streams)}
    hearing = {
        name for name, each in now.items() if any(item.account in new for item in each.imports)
    }
    return frozenset(changed | owners | hearing)


def tap(name: str, kind: Kind) -> Rights:
    """Return the rights of somebody who is to hear all that `name` says, and to say nothing.

    An account of its own, as every listener has: what it does costs the plugin none of its limits.
    """
    said = (subjects.BEAT, _SAYS[kind])
    return Rights(
        instance=f"{TAP} {name}",
        kind=TAP,
        exports=(),
        imports=tuple(Import(name, subject, subject, STREAM) for subject in said),
        publish=(),
        subscribe=said,
    )


def _of_one(name: str, kind: Kind, incoming: Sequence[Edge]) -> Rights:
    # Beats, signals and fills are asked of CORE as services, which the server passes on to no stream
    # of CORE: whoever taps them imports them from here.
    exports = (Export(subjects.BEAT, STREAM), Export(_SAYS[kind], STREAM))
    imports = [
        Import(CORE, f"beat.{name}", subjects.BEAT, SERVICE),
        Import(CORE, f"ctl.{name}", subjects.CONTROL, STREAM),
        Import(CORE, f"state.{name}", subjects.STATE, SERVICE),
        Import(CORE, _recall(name), subjects.RECALL, SERVICE),
    ]
    publish = [subjects.BEAT, _SAYS[kind], subjects.STATE, subjects.RECALL]
    subscribe = [subjects.CONTROL, _INBOX]  # where what it asks is answered
    streams = [subjects.state_stream(name)]
    captured: tuple[Import, ...] = ()
    consumers: list[Consumer] = []

    if kind in _STORED:
        prefix, stream_name = _STORED[kind]
        imports.append(Import(CORE, f"{prefix}.{name}.>", f"{prefix}.>", SERVICE))
        streams.append(stream_name(name))
        # What it cannot take; there as long as it is, whoever is wired to it.
        imports.append(Import(CORE, f"dlq.{name}.>", subjects.DEAD, SERVICE))
        publish.append(subjects.DEAD)
        streams += [subjects.dead_stream(name), subjects.tries_stream(name)]
    if (flow := _CAPTURED.get(kind)) is not None:
        streams.append(subjects.capture_stream(name))
        captured = (Import(name, f"{flow}.>", subjects.captured(name, flow), STREAM),)

    for (producer, channel), symbols in _heard(incoming).items():
        if channel in _FLOWS:
            for item in _flows(producer, channel, symbols):
                imports.append(item)
                subscribe.append(item.local)
            consumer = _of_captured(name, producer, channel, symbols)
            asked = _asked(producer, consumer)[:2]  # nothing there is acknowledged
        else:
            consumer = _consumer(name, producer, channel)
            asked = _asked(producer, consumer)
        imports.extend(asked)
        publish.extend(item.local for item in asked)
        consumers.append(consumer)

    return Rights(
        instance=name,
        kind=kind.value,
        exports=exports,
        imports=tuple(sorted(imports, key=lambda item: (item.account, item.subject))),
        publish=tuple(sorted(set(publish))),
        subscribe=tuple(sorted(set(subscribe))),
        streams=tuple(sorted(streams)),
        consumers=tuple(sorted(consumers, key=lambda item: item.stream)),
        captured=captured,
    )


def _heard(edges: Sequence[Edge]) -> Mapping[tuple[str, Channel], frozenset[str]]:
    """Merge edges of one producer and channel; no symbols: all of them.

    Two imports that overlap would deliver each message twice.
    """
    merged: dict[tuple[str, Channel], frozenset[str]] = {}
    for edge in edges:
        key = (edge.producer, edge.channel)
        symbols = frozenset(edge.symbols)
        if key in merged and merged[key] and symbols:
            merged[key] |= symbols
        elif key in merged:
            merged[key] = frozenset()
        else:
            merged[key] = symbols
    return merged


def _recall(name: str) -> str:
    # Answered by the stream's leader alone; a direct get, by whichever copy is near, up to date or not.
    return f"$JS.API.STREAM.MSG.GET.{subjects.state_stream(name)}"


def _of_captured(name: str, producer: str, channel: Channel, symbols: frozenset[str]) -> Consumer:
    """Its own symbols alone, as it hears them."""
    everything: tuple[None] = (None,)
    wanted = sorted(
        subjects.captured(producer, _FLOWS[channel], symbol) for symbol in (symbols or everything)
    )
    return Consumer(subjects.capture_stream(producer), name, tuple(wanted))


def _flows(producer: str, channel: Channel, symbols: frozenset[str]) -> list[Import]:
    """Imports straight from the producer's account: no hop through CORE."""
    remote, local = (
        (subjects.data, subjects.data_in)
        if channel is Channel.DATA
        else (subjects.indicator, subjects.indicator_in)
    )
    if not symbols:
        return [Import(producer, f"{_FLOWS[channel]}.>", local(producer), STREAM)]
    return [
        Import(producer, remote(symbol), local(producer, symbol), STREAM)
        for symbol in sorted(symbols)
    ]


def _consumer(name: str, producer: str, channel: Channel) -> Consumer:
    again = subjects.again(producer, name)
    if channel is Channel.SIGNAL:
        return Consumer(subjects.signal_stream(producer), name, (again, f"sig.{producer}.>"))
    # An executor serves several strategies; each is shown its own fills.
    fills = f"fill.{producer}.{name}.>"
    return Consumer(subjects.fill_stream(producer), name, (again, fills))


def _asked(producer: str, consumer: Consumer) -> list[Import]:
    """The three things that a consumer's owner may ask JetStream; nothing can create or list."""
    where = f"{consumer.stream}.{consumer.durable}"
    ack = f"$JS.ACK.{where}.>"
    return [
        Import(CORE, f"$JS.API.CONSUMER.MSG.NEXT.{where}", subjects.pull(producer), SERVICE),
        Import(CORE, f"$JS.API.CONSUMER.RESET.{where}", subjects.reset(producer), SERVICE),
        Import(CORE, ack, ack, SERVICE),
    ]
