"""One entry as layers: which layer differs says what a change costs; which field, what to tell.

identity, wiring and config: the plugin is started anew (`decide.push` knows the exceptions). A strategy's
risk limits are in the config of its executors, for they keep them.
resources: limits are changed in place. policy: the controller's own business. The layers are kept beside their hash, so that a newer
release that knows more fields compares values and restarts nothing.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Any

import msgspec
from msgspec.structs import replace

from ntp.contract.launch import Listen
from ntp.contract.names import Kind
from orchestrator.decide.state import Hashes
from orchestrator.decide.words import mebibytes
from orchestrator.spec.model import PluginSpec

Layers = Mapping[str, Mapping[str, Any]]
"""Layer name -> its fields, as plain JSON values."""

MISSING = "missing"
"""The digest of a secret that could not be read when its entry was applied first."""
RECREATE = ("identity", "wiring", "config")
_SIZES = frozenset({"memory", "tmp", "storage"})
_TOLD = 3
_IMAGE = "sha256:"
"""How the digest of an image begins; that of files has no such word before it."""
_ABSENT = object()
_SCALAR = (str, int, float, bool, NoneType)
_canonical = msgspec.json.Encoder(order="sorted").encode


def layers(
    spec: PluginSpec, *, listens: Sequence[Listen], secrets: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return everything that decides how `spec` runs. `secrets`: keyed digests, never values."""
    return {
        "identity": {
            "kind": spec.kind.value,
            "plugin": spec.plugin,
            "code": spec.digest,
            "entrypoint": spec.entrypoint,
            "storage": spec.storage,
            "tmp": spec.resources.tmp,
            "sandbox": spec.sandbox,
            "egress": sorted(_reach(spec)),
            **({"kubernetes": _plain(spec.kubernetes)} if spec.kubernetes else {}),
        },
        "resources": {
            "memory": spec.resources.memory,
            "cpu": spec.resources.cpu,
            "pids": spec.resources.pids,
        },
        # One source may be heard twice, as ticks and as bars.
        "wiring": {"inputs": {_input(each): _listen(each) for each in listens}},
        "config": {
            "config": _plain(spec.config),
            "secrets": dict(secrets),
            "history": spec.history,
            "timeout_s": spec.timeout.total_seconds(),
            "grace_s": spec.grace.total_seconds(),
            "capital": str(spec.capital),
            "short": spec.short,
            "pyramid": spec.pyramid,
            **({} if spec.kind is Kind.STRATEGY else {"risk": _limits(spec, listens)}),
        },
        "policy": {
            "version": spec.version,
            **({"risk": _plain(spec.risk)} if spec.kind is Kind.STRATEGY else {}),
        },
    }


def _limits(spec: PluginSpec, listens: Sequence[Listen]) -> dict[str, Any]:
    """Return the limits that an executor obeys, by name: its own, and `strategy.limit`."""
    of = {each.instance: each.trading.risk for each in listens if each.trading is not None}
    theirs = {
        f"{name}.{limit}": value for name, risk in of.items() for limit, value in risk.items()
    }
    return {**_plain(spec.risk), **theirs}


def _reach(spec: PluginSpec) -> Iterator[str]:
    """Name each host, with where it leads if that is not itself: a field of its own would be new."""
    to = {each.place: each.to for each in spec.detours}
    trusting = f" trusting {digest(spec.authority)[:8]}" if spec.authority else ""
    past = " past the door" if spec.network == "own" else ""
    for host in spec.egress:
        yield f"{host} -> {to[host]}{trusting}" if host in to else f"{host}{past}"


def _input(each: Listen) -> str:
    return each.instance if each.bars is None else f"{each.instance} {each.bars}"


def on_bus(of: Layers, address: str) -> Layers:
    """Return `of` for a bus at `address`: a plugin finds a bus that moved only when started anew."""
    return {**of, "wiring": {**of["wiring"], "bus": address}}


def hashes(of: Layers) -> Hashes:
    return Hashes(
        identity=digest(of["identity"]),
        resources=digest(of["resources"]),
        wiring=digest(of["wiring"]),
        config=digest(of["config"]),
        policy=digest(of["policy"]),
    )


def differing(one: Hashes, other: Hashes) -> tuple[str, ...]:
    """Name the layers that differ."""
    return tuple(
        layer
        for layer in ("identity", "wiring", "config", "resources", "policy")
        if getattr(one, layer) != getattr(other, layer)
    )


def carry_over(old: Layers, new: Layers) -> dict[str, Mapping[str, Any]]:
    """Return `new`, but with the layers of `old` where they differ only in which fields exist.

    Which fields a layer has is fixed by the release of this program, never by the user: a field
    that only one of the two knows says nothing about what was changed, and must restart nothing.
    A layer that stays is the same object.
    """
    kept: dict[str, Mapping[str, Any]] = {}
    for layer, fields in new.items():
        before = old.get(layer, fields)
        same = all(_alike(before[name], fields[name]) for name in before.keys() & fields.keys())
        kept[layer] = before if same else fields
    return kept


def describe(old: Layers, new: Layers) -> str:
    """Say what differs: `config.period 20 -> 30, resources.memory 512 MiB -> 1 GiB`. Empty: nothing."""
    told = list(_differences(old, new))
    if len(told) > _TOLD:
        told[_TOLD:] = [f"and {len(told) - _TOLD} more"]
    return ", ".join(told)


def _differences(old: Layers, new: Layers) -> Iterator[str]:
    for layer in ("identity", "wiring", "config", "resources", "policy"):
        before, after = old.get(layer, {}), new.get(layer, {})
        for name in [*after, *(gone for gone in before if gone not in after)]:
            one, other = before.get(name, _ABSENT), after.get(name, _ABSENT)
            if _alike(one, other):
                continue
            if name == "code" and layer == "identity":
                yield " -> ".join(_codes(one, other))
                continue
            yield from _field(layer, name, one, other)


def _field(layer: str, name: str, one: Any, other: Any) -> Iterator[str]:
    if name == "secrets":
        keys = sorted({*_mapping(one), *_mapping(other)})
        for key in keys:
            had, has = _mapping(one).get(key), _mapping(other).get(key)
            if had != has:
                word = "is new" if not had else "has another value" if has else "is gone"
                if had == MISSING and has:
                    word = "is set now"
                yield f"secret {key.removeprefix('config.')} {word}"
    elif name == "egress":
        one, other = _listed(one), _listed(other)
        told = [f"+{host}" for host in other if host not in one]
        told += [f"-{host}" for host in one if host not in other]
        yield f"egress {' '.join(told)}"
    elif layer == "wiring" and name == "inputs":
        yield from _inputs(_mapping(one), _mapping(other))
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            before, after = one.get(key, _ABSENT), other.get(key, _ABSENT)
            if not _alike(before, after):
                yield f"{name}.{key} {_value(name, before)} -> {_value(name, after)}"
    else:
        prefix = "resources." if layer == "resources" else ""
        yield f"{prefix}{name} {_value(name, one)} -> {_value(name, other)}"


def _codes(one: Any, other: Any) -> Iterator[str]:
    """Name two states of a plugin's files, or two images that were named, or one of each."""
    kinds = ["image" if str(each).startswith(_IMAGE) else "code" for each in (one, other)]
    for at, (kind, value) in enumerate(zip(kinds, (one, other), strict=True)):
        digits = str(value).removeprefix(_IMAGE)
        shown = f"{_IMAGE}{digits[:12]}" if kind == "image" else digits[:8]
        yield shown if at and kinds[0] == kind else f"{kind} {shown}"


def _inputs(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*one, *other}):
        if key not in one:
            yield f"now listens to {key}"
        elif key not in other:
            yield f"no longer listens to {key}"
        elif one[key] != other[key]:
            yield from _rewired(key, one[key], other[key])


def _rewired(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    fields = {each for each in {*before, *after} if before.get(each) != after.get(each)}
    heard, hears = _listed(before.get("listens_to")), _listed(after.get("listens_to"))
    told = [f"{key} hears {name} too" for name in hears if name not in heard]
    told += [f"{key} no longer hears {name}" for name in heard if name not in hears]
    yield from told
    if others := sorted(fields - ({"listens_to"} if told else set())):
        yield f"input {key}: other {' and '.join(others)}"


def _alike(one: Any, other: Any) -> bool:
    """Compare as the hashes do: to Python 1, 1.0 and True are the same, to a plugin they are not."""
    if one is other:
        return True
    if one is _ABSENT or other is _ABSENT:
        return False
    if isinstance(one, _SCALAR) or isinstance(other, _SCALAR):
        return type(one) is type(other) and bool(one == other)
    return bool(_canonical(one) == _canonical(other))


def _value(field: str, value: Any) -> str:
    if value is _ABSENT:
        return "(none)"
    if field in _SIZES and isinstance(value, int):
        return mebibytes(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _listen(listen: Listen) -> dict[str, Any]:
    # Without fields at their default, so that a new field of a newer contract is no change.
    if listen.trading is not None:
        listen = replace(listen, trading=replace(listen.trading, risk={}))
    default = _unsaid(listen.kind)
    return {
        field: value
        for field, value in _plain(listen).items()
        if field == "kind" or (field != "instance" and value != default[field])
    }


@cache
def _unsaid(kind: Kind) -> dict[str, Any]:
    found: dict[str, Any] = _plain(Listen(instance="", kind=kind))
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) else ()


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, str_keys=True)


def digest(value: Any) -> str:
    """Return a short hash of plain JSON values, the same for the same values in any order of keys."""
    return hashlib.sha256(_canonical(value)).hexdigest()[:16]
