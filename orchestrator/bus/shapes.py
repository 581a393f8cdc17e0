"""What each stream and consumer is: of signals and fills, of what was said, of a plugin's last state.

One stream a plugin: a neighbour can neither fill it nor guess its message ids. A stream keeps what
some consumer has not acknowledged (`interest`) and refuses more when it is full (`discard new`), so
an acknowledged signal is never pushed out by a later one; the sender keeps it and shows it.

What a source or an indicator says is captured in a stream of its own, bounded by size and age, read by
whoever starts or has missed something, and acknowledged by nobody. It is written without a sync a
message (`persist_mode: async`): a broker that is killed has it again, a power cut may take its end.
What a plugin needs of its last life is the one message of its stream STATE.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ntp.contract import subjects
from orchestrator.bus.claims import PAYLOAD
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


SHAPES: Mapping[str, Callable[[str], dict[str, Any]]] = {
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
            shape = SHAPES[name.removesuffix(item.instance)]
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
