"""The streams of signals and fills and their consumers: made, changed and removed by CORE alone.

One stream a plugin: a neighbour can neither fill it nor guess its message ids. A stream keeps what
some consumer has not acknowledged (`interest`) and refuses more when it is full (`discard new`), so
an acknowledged signal is never pushed out by a later one; the sender keeps it and shows it.

What is captured of ticks and values, for whom a replay is asked, lies in one stream in memory: the
last of each symbol, acknowledged by nobody, read as often as somebody starts.
"""

from collections.abc import Collection, Mapping
from typing import Any

from ntp.contract.subjects import CAPTURE_STREAM
from orchestrator.bus.claims import PAYLOAD
from orchestrator.bus.client import Life
from orchestrator.errors import ActionError
from orchestrator.spec.model import Consumer, Rights

MIB = 1024 * 1024
STREAM_BYTES = 32 * MIB
"""About 100,000 signals; JetStream reserves it, so streams together fit the store."""
DUPLICATE_WINDOW = 120
"""Seconds in which a message id is known again; later an executor's ledger knows it."""
ACK_WAIT = 30
"""Seconds until a message that was handed out comes again unasked."""
IN_FLIGHT = 1024
"""Messages that a consumer may hold unacknowledged."""
_SECOND = 1_000_000_000
_NOT_FOUND = {10059, 10014}
"""JetStream's error codes: stream not found, consumer not found."""
_FEW = 8
_PREFIXES = ("SIG_", "FILL_", CAPTURE_STREAM)
CAPTURE_BYTES = 24 * MIB
"""Of the broker's memory for streams; what is older goes first."""
_WATERMARKS = 8
"""Of a symbol, beside its ticks: they leave by themselves after seconds."""


def wanted(rights: Mapping[str, Rights]) -> dict[str, dict[str, Any]]:
    """Return the configuration of every stream by name."""
    streams: dict[str, dict[str, Any]] = {}
    for item in rights.values():
        for stream in item.streams:
            subject = "sig" if stream.startswith("SIG_") else "fill"
            streams[stream] = {
                "name": stream,
                "subjects": [f"{subject}.{item.instance}.>"],
                "retention": "interest",
                "discard": "new",
                "storage": "file",
                "max_bytes": STREAM_BYTES,
                "max_msg_size": PAYLOAD,
                "duplicate_window": DUPLICATE_WINDOW * _SECOND,
                "num_replicas": 1,
                "allow_direct": False,
                "deny_purge": False,
            }
    most = max((item.replay for item in rights.values()), default=0)
    if most:
        streams[CAPTURE_STREAM] = {
            "name": CAPTURE_STREAM,
            "subjects": ["md.>"],
            "retention": "limits",
            "discard": "old",
            "storage": "memory",
            "max_bytes": CAPTURE_BYTES,
            "max_msg_size": PAYLOAD,
            "max_msgs_per_subject": most + _WATERMARKS,
            "allow_msg_ttl": True,
            "num_replicas": 1,
            "allow_direct": False,
        }
    return streams


def consumer(item: Consumer) -> dict[str, Any]:
    """Return the configuration of one consumer."""
    if item.stream == CAPTURE_STREAM:
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

    def __init__(self, core: Life) -> None:
        self._core = core

    async def ensure(self, rights: Mapping[str, Rights], changed: Collection[str]) -> None:
        """Make what is missing and change what differs for those who changed; remove nothing."""
        rights, everybody = {name: rights[name] for name in changed}, rights
        streams = wanted(rights)
        if CAPTURE_STREAM in streams:  # it is everybody's
            streams[CAPTURE_STREAM] = wanted(everybody)[CAPTURE_STREAM]
        have = await self._held("STREAM", streams, "streams")
        for name, config in streams.items():
            if name not in have:
                await self._do(f"STREAM.CREATE.{name}", config)
            elif _differs(config, have[name]):
                await self._do(f"STREAM.UPDATE.{name}", have[name] | config)
        for stream, consumers in _by_stream(rights).items():
            held = await self._held("CONSUMER", consumers, "consumers", f".{stream}")
            for name, item in consumers.items():
                config = consumer(item)
                if name not in held or _differs(config, held[name]):
                    body = {"stream_name": stream, "config": _trim(config)}
                    await self._do(f"CONSUMER.CREATE.{stream}.{name}", body)

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
        for name in await self._list("STREAM.LIST", "streams"):
            if not name.startswith(_PREFIXES):
                continue
            if name not in keep:
                await self._do(f"STREAM.DELETE.{name}")
                continue
            for held in await self._list(f"CONSUMER.LIST.{name}", "consumers"):
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
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = await self._do(subject, {"offset": len(found)})
            items = page.get(key) or []
            for item in items:
                found[item["config"]["name"]] = item["config"]
            if not items or len(found) >= int(page.get("total", 0)):
                return found

    async def _do(self, subject: str, body: object = None) -> dict[str, Any]:
        answer = await self._core.ask(f"$JS.API.{subject}", body)
        error = answer.get("error")
        if error and error.get("err_code") not in _NOT_FOUND:
            raise ActionError(
                f"JetStream refused {subject}: {error.get('description')}", reason="BrokerStreams"
            )
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
