"""The streams of signals and fills and their consumers: made, changed and removed by CORE alone.

One stream a plugin: a neighbour can neither fill it nor guess its message ids. A stream keeps what
some consumer has not acknowledged (`interest`) and refuses more when it is full (`discard new`), so
an acknowledged signal is never pushed out by a later one; the sender keeps it and shows it.

What a source or an indicator says is captured in a stream of its own, bounded by size and age, read by
whoever starts or has missed something, and acknowledged by nobody. It is written without a sync a
message (`persist_mode: async`): a broker that is killed has it again, a power cut may take its end.
What a plugin needs of its last life is the one message of its stream STATE.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

from ntp.contract import subjects
from orchestrator.bus.claims import PAYLOAD
from orchestrator.bus.client import DEADLINE, Life
from orchestrator.errors import ActionError, UnreachableError, ungrouped
from orchestrator.spec.model import Consumer, Rights

MIB = 1024 * 1024
STREAM_BYTES = 32 * MIB
"""About 100,000 signals; JetStream reserves it, so streams together fit the store."""
DEAD_BYTES = 4 * MIB
"""Of one receiver: thousands of signals, or thirty of the longest message."""
TRIES_BYTES = MIB
"""A few hundred bytes for each sender, of which a receiver has at most hundreds."""
TRIES_WINDOW = 24 * 3600
"""Seconds in which it is known that a message was begun: the waits between five lives are minutes."""
DUPLICATE_WINDOW = 120
"""Seconds in which a message id is known again; later an executor's ledger knows it."""
ACK_WAIT = 30
"""Seconds until a message that was handed out comes again unasked."""
IN_FLIGHT = 1024
"""Messages that a consumer may hold unacknowledged."""
_SECOND = 1_000_000_000
_NOT_FOUND = {10059, 10014}
"""JetStream's error codes: stream not found, consumer not found."""
_NO_STORE = 10049
"""It could not make a stream's folder: a full disk, or one that it was removing. To be tried again."""
_FEW = 8
_AT_ONCE = 4
"""Streams: the server makes one after the other, so the last of them waits for all."""
CAPTURE_BYTES = 32 * MIB
"""Of one source or indicator: about 200,000 ticks; what is older goes first."""
CAPTURE_AGE = 24 * 3600
"""Seconds that a captured tick is kept at most."""
STATE_BYTES = 1 * MIB


def _kept(instance: str, subject: str) -> dict[str, Any]:
    return {
        "subjects": [f"{subject}.{instance}.>", f"{subjects.AGAIN}.{instance}.>"],
        "retention": "interest",
        "discard": "new",
        "max_bytes": STREAM_BYTES,
        "duplicate_window": DUPLICATE_WINDOW * _SECOND,
        "allow_direct": False,
        "deny_purge": False,
    }


def _limited(subject: str, most: int, **more: Any) -> dict[str, Any]:
    """A stream that is bounded by size, of which the oldest go first unless `more` says otherwise."""
    return {
        "subjects": [subject],
        "retention": "limits",
        "discard": "old",
        "max_bytes": most,
        "allow_direct": False,
        **more,
    }


def _captured(instance: str) -> dict[str, Any]:
    return _limited(
        f"md.{instance}.>", CAPTURE_BYTES, persist_mode="async", max_age=CAPTURE_AGE * _SECOND
    )


def _state(instance: str) -> dict[str, Any]:
    return _limited(f"state.{instance}", STATE_BYTES, max_msgs_per_subject=1)


def _dead(instance: str) -> dict[str, Any]:
    # A full one refuses: nobody pushes out what was kept by sending more.
    return _tried(subjects.letters(instance), DEAD_BYTES) | {"discard": "new"}


def _tries(instance: str) -> dict[str, Any]:
    return _tried(f"dlq.{instance}.try.>", TRIES_BYTES)


def _tried(subject: str, most: int) -> dict[str, Any]:
    """What is sent again takes its own place, and is known for a while."""
    window = TRIES_WINDOW * _SECOND
    return _limited(subject, most, max_msgs_per_subject=1, duplicate_window=window)


_SHAPES: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "SIG_": lambda instance: _kept(instance, "sig"),
    "FILL_": lambda instance: _kept(instance, "fill"),
    "MD_": _captured,
    "STATE_": _state,
    "DLQ_": _dead,
    "TRY_": _tries,
}
"""What a stream is, by the beginning of its name; whose it is, is the rest."""


def wanted(rights: Mapping[str, Rights], *, replicas: int = 1) -> dict[str, dict[str, Any]]:
    """Return the configuration of every stream by name. `replicas`: how many servers keep each."""
    streams: dict[str, dict[str, Any]] = {}
    for item in rights.values():
        for name in item.streams:
            shape = _SHAPES[name.removesuffix(item.instance)]
            streams[name] = {
                "name": name,
                "storage": "file",
                "max_msg_size": PAYLOAD,
                "num_replicas": replicas,
                **shape(item.instance),
            }
            if replicas > 1 and streams[name].pop("persist_mode", None):
                # The server writes none of several copies without a sync; in memory, one of them
                # goes and nothing is lost.
                streams[name]["storage"] = "memory"
    return streams


def consumer(item: Consumer) -> dict[str, Any]:
    """Return the configuration of one consumer."""
    if item.stream.startswith("MD_"):
        return {
            "name": item.durable,
            "durable_name": item.durable,
            "deliver_policy": "all",
            "ack_policy": "none",
            "mem_storage": True,
            "max_waiting": 8,
            "filter_subjects": list(item.filters),
        }
    return {
        "name": item.durable,
        "durable_name": item.durable,
        "deliver_policy": "new",
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT * _SECOND,
        "max_deliver": -1,
        "max_ack_pending": IN_FLIGHT,
        "max_waiting": 8,
        "filter_subjects": list(item.filters),
    }


class Streams:
    """What JetStream holds, compared with what it should."""

    def __init__(self, core: Life, *, replicas: int = 1) -> None:
        self._core = core
        self._replicas = replicas

    async def ensure(self, rights: Mapping[str, Rights], changed: Collection[str]) -> None:
        """Make what is missing and change what differs for those who changed; remove nothing."""
        rights = {name: rights[name] for name in changed}
        have = await self._held("STREAM", wanted(rights), "streams")
        # Servers that are down now may be thought away; their copies are kept.
        copies = [int(each.get("num_replicas", 1)) for each in have.values()]
        streams = wanted(rights, replicas=max([self._replicas, *copies]))
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str, config: dict[str, Any]) -> None:
            async with limit:
                await self._make(name, config, have.get(name))

        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                for name, config in streams.items():
                    tasks.create_task(one(name, config))
        for stream, consumers in _by_stream(rights).items():
            held = await self._held("CONSUMER", consumers, "consumers", f".{stream}")
            for name, item in consumers.items():
                config = consumer(item)
                if name not in held or _differs(config, held[name]):
                    body = {"stream_name": stream, "config": _trim(config)}
                    await self._do(f"CONSUMER.CREATE.{stream}.{name}", body)

    async def _make(
        self, name: str, config: Mapping[str, Any], held: Mapping[str, Any] | None
    ) -> None:
        if held is not None and held.get("storage") != config["storage"]:
            # Of captured ticks alone, where a server has become a cluster: no stream moves.
            await self._do(f"STREAM.DELETE.{name}")
            held = None
        if held is None:
            await self._do(f"STREAM.CREATE.{name}", config)
        elif _differs(config, held):
            await self._do(f"STREAM.UPDATE.{name}", {**held, **config})

    async def remove(self, before: Mapping[str, Rights], now: Mapping[str, Rights]) -> None:
        """Remove what was declared before and is no more."""
        gone = wanted(before).keys() - wanted(now).keys()
        for name in sorted(gone):
            await self._do(f"STREAM.DELETE.{name}")
        keep = _by_stream(now)
        for stream, consumers in _by_stream(before).items():
            if stream not in gone:
                for name in sorted(consumers.keys() - keep.get(stream, {}).keys()):
                    await self._do(f"CONSUMER.DELETE.{stream}.{name}")

    async def prune(self, rights: Mapping[str, Rights]) -> None:
        """Remove whatever is there and nobody declares; at the first look at a server."""
        keep = wanted(rights)
        by_stream = _by_stream(rights)
        there = {
            each["config"]["name"]: each["state"]["consumer_count"]
            async for each in self._items("STREAM.LIST", "streams")
        }
        for name, consumers in there.items():
            if not name.startswith(tuple(_SHAPES)):
                continue
            if name not in keep:
                await self._do(f"STREAM.DELETE.{name}")
                continue
            # Most have none, and there are several for each plugin.
            for held in await self._list(f"CONSUMER.LIST.{name}", "consumers") if consumers else ():
                if held not in by_stream.get(name, {}):
                    await self._do(f"CONSUMER.DELETE.{name}.{held}")

    async def _held(
        self, what: str, names: Collection[str], key: str, within: str = ""
    ) -> dict[str, dict[str, Any]]:
        """Return the configuration of those that are there: asked one by one, or all at once."""
        if len(names) > _FEW:
            return await self._list(f"{what}.LIST{within}", key)
        answers = {name: await self._do(f"{what}.INFO{within}.{name}") for name in names}
        return {name: answer["config"] for name, answer in answers.items() if "config" in answer}

    async def _list(self, subject: str, key: str) -> dict[str, dict[str, Any]]:
        """Return configurations by name."""
        return {each["config"]["name"]: each["config"] async for each in self._items(subject, key)}

    async def _items(self, subject: str, key: str) -> AsyncIterator[dict[str, Any]]:
        count = 0
        while True:
            page = await self._do(subject, {"offset": count})
            items = page.get(key) or []
            for each in items:
                yield each
            count += len(items)
            if not items or count >= int(page.get("total", 0)):
                return

    async def _do(self, subject: str, body: object = None) -> dict[str, Any]:
        within_s = DEADLINE * (_AT_ONCE if subject.startswith("STREAM.CREATE.") else 1)
        answer = await self._core.ask(f"$JS.API.{subject}", body, within_s=within_s)
        error = answer.get("error")
        if error and error.get("err_code") not in _NOT_FOUND:
            words = f"JetStream refused {subject}: {error.get('description')}"
            if error.get("err_code") == _NO_STORE:
                raise UnreachableError(words)
            raise ActionError(words, reason="BrokerStreams")
        return answer


def _by_stream(rights: Mapping[str, Rights]) -> dict[str, dict[str, Consumer]]:
    by_stream: dict[str, dict[str, Consumer]] = {}
    for item in rights.values():
        for each in item.consumers:
            by_stream.setdefault(each.stream, {})[each.durable] = each
    return by_stream


def _trim(config: dict[str, Any]) -> dict[str, Any]:
    """Leave out an empty filter: the whole stream."""
    return {key: value for key, value in config.items() if value != []}


def _differs(want: Mapping[str, Any], have: Mapping[str, Any]) -> bool:
    """Compare what we set; the server fills in the rest. It leaves out what is zero or empty."""
    for key, value in want.items():
        held = have.get(key)
        if key == "filter_subjects" and held is None and have.get("filter_subject"):
            held = [have["filter_subject"]]
        if held != value and not (held is None and value in ([], False, 0)):
            return True
    return False
