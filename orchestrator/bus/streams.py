"""Streams and their consumers, compared with what they should be: made, changed and removed by CORE alone."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, NamedTuple

from orchestrator.bus.client import DEADLINE, Life
from orchestrator.bus.shapes import SHAPES, consumer, wanted
from orchestrator.errors import ActionError
from orchestrator.spec.model import Consumer, Rights

_NOT_FOUND = {10059, 10014}
"""JetStream's error codes: stream not found, consumer not found."""
_FEW = 8
_LONG = 4 * DEADLINE
"""For a change: the server makes one after the other, and is asked for a few at once."""


class Lack(NamedTuple):
    """One stream: what it should be, None where it is as it was; what is held of it; who reads it."""

    config: dict[str, Any] | None
    held: dict[str, Any] | None
    readers: Mapping[str, Consumer]


class Streams:
    """What JetStream holds, compared with what it should."""

    def __init__(self, core: Life, *, replicas: int = 1) -> None:
        self._core = core
        self._replicas = replicas

    async def compare(
        self, rights: Mapping[str, Rights], changed: Collection[str]
    ) -> Mapping[str, Lack]:
        """Return what the streams of those who changed lack, and those that they read, by name.

        A stream of theirs may be new: then everybody who reads it has a place to get, changed or not.
        """
        theirs = {name: rights[name] for name in changed}
        have = await self._held("STREAM", wanted(theirs), "streams")
        # Servers that are down now may be thought away; their copies are kept.
        copies = [int(each.get("num_replicas", 1)) for each in have.values()]
        streams = wanted(theirs, replicas=max([self._replicas, *copies]))
        readers = {n: each for n, each in _by_stream(rights).items() if n in streams}
        readers = _by_stream(theirs) | readers
        return {
            name: Lack(streams.get(name), have.get(name), readers.get(name, {}))
            for name in streams | readers
        }

    async def make(self, name: str, lack: Lack) -> None:
        """Make one, and a consumer for each that reads it, or change what differs; remove nothing."""
        made = lack.config is not None and await self._make(name, lack.config, lack.held)
        await self._make_consumers(name, lack.readers, new=made)

    async def _make_consumers(
        self, stream: str, readers: Mapping[str, Consumer], *, new: bool
    ) -> None:
        held = {} if new else await self._held("CONSUMER", readers, "consumers", f".{stream}")
        for name, item in readers.items():
            config = consumer(item)
            if name not in held or _differs(config, held[name]):
                body = {"stream_name": stream, "config": _trim(config)}
                await self._do(f"CONSUMER.CREATE.{stream}.{name}", body)

    async def _make(
        self, name: str, config: Mapping[str, Any], held: Mapping[str, Any] | None
    ) -> bool:
        """Return whether it is a new one."""
        if held is not None and held.get("storage") != config["storage"]:
            # Of captured ticks alone, where a server has become a cluster: no stream moves.
            await self._do(f"STREAM.DELETE.{name}")
            held = None
        if held is None:
            await self._do(f"STREAM.CREATE.{name}", config)
        elif _differs(config, held):
            await self._do(f"STREAM.UPDATE.{name}", {**held, **config})
        return held is None

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

    async def prune(self, rights: Mapping[str, Rights], sparing: Collection[str]) -> None:
        """Remove whatever is there and nobody declares; at the first look at a server.

        `sparing`: whose places in streams stay, declared or not.
        """
        keep = wanted(rights)
        by_stream = _by_stream(rights)
        there = {
            each["config"]["name"]: each["state"]["consumer_count"]
            async for each in self._items("STREAM.LIST", "streams")
        }
        for name, consumers in there.items():
            if not name.startswith(tuple(SHAPES)):
                continue
            if name not in keep:
                await self._do(f"STREAM.DELETE.{name}")
                continue
            # Most have none, and there are several for each plugin.
            for held in await self._list(f"CONSUMER.LIST.{name}", "consumers") if consumers else ():
                if held not in by_stream.get(name, {}) and held not in sparing:
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
        within_s = _LONG if subject.split(".")[1] in {"CREATE", "UPDATE"} else DEADLINE
        answer = await self._core.jetstream(subject, body, within_s=within_s)
        error = answer.get("error")
        if error and error.get("err_code") not in _NOT_FOUND:
            words = f"JetStream refused {subject}: {error.get('description')}"
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
