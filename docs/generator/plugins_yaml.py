"""The tables of docs/reference/plugins-yaml.md, from the schema of plugins.yaml."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import yaml

from docs.generator.markdown import code, table
from orchestrator.spec import quantity, schema

_ALL = ("DataSource", "Indicator", "Strategy", "Executor")
_HEAD = ("field", "meaning", "value", "default", "example")
_PLAIN = {
    "name": "[name](#how-values-are-written)",
    "size": "[size](#how-values-are-written)",
    "cores": "[cores](#how-values-are-written)",
    "length of time": "[length of time](#how-values-are-written)",
    "amount": "[amount](#how-values-are-written)",
    "amount or share": "[amount](#how-values-are-written), or a share such as `2%`",
    "bars": "[length of bars](#how-values-are-written)",
    "host:port": "`host:port`",
}

Fields = Mapping[str, Mapping[str, Any]]


def parts() -> dict[str, str]:
    """Return the generated parts of the page by name."""
    whole = schema.plugins_schema()
    kinds = {name: whole["$defs"][name]["properties"] for name in _ALL}
    common = {
        name: said
        for name, said in kinds["DataSource"].items()
        if all(name in fields for fields in kinds.values())
    }
    strategies = {
        name: said for name, said in kinds["Strategy"].items() if name not in {*common, "inputs"}
    }
    executors = {name: kinds["Executor"][name] for name in ("risk",)}
    wired = {"inputs": kinds["Strategy"]["inputs"]}
    shown = {*common, *strategies, *wired}
    missing = {name for fields in kinds.values() for name in fields} - shown
    if missing:
        raise LookupError(f"no table has the fields {', '.join(sorted(missing))}")
    defaults = _acting(whole["$defs"]["Defaults"]["properties"])
    return {
        "file": _table(whole["properties"]),
        "kinds": _whole_table("Plugins", whole),
        "entry": _table(_acting(common), whole["$defs"]["DataSource"]["required"]),
        "inputs": _table(wired),
        "input": _whole_table("Input", whole),
        "strategy": _table(_acting(strategies)),
        "executor": _table(executors),
        "risk": _whole_table("Risk", whole),
        "resources": _whole_table("Resources", whole),
        "network": _whole_table("Network", whole),
        "kubernetes": _whole_table("Kubernetes", whole),
        "toleration": _whole_table("Toleration", whole),
        "defaults": f"{', '.join(map(code, defaults))}\n",
        "later": _later({**common, **strategies}, kinds),
    }


def _whole_table(definition: str, whole: Mapping[str, Any]) -> str:
    said = whole["$defs"][definition]
    return _table(said["properties"], said.get("required", ()))


def _acting(fields: Fields) -> dict[str, Mapping[str, Any]]:
    return {name: said for name, said in fields.items() if not _is_later(said)}


def _is_later(said: Mapping[str, Any]) -> bool:
    return "not" in said or "const" in said


def _table(fields: Fields, required: Collection[str] = ()) -> str:
    return table(_HEAD, _rows(fields, required))


def _rows(fields: Fields, required: Collection[str]) -> Iterator[tuple[str, ...]]:
    for name, said in fields.items():
        default = said.get("x-default", "**required**" if name in required else "")
        meaning = said["description"].removesuffix(f" Default: {default}.")
        yield code(name), meaning, _value(said), default, code(_example(name, said))


def _example(name: str, said: Mapping[str, Any]) -> str:
    if "examples" not in said:
        return ""
    inside: str = yaml.safe_dump(
        [said["examples"][0]], default_flow_style=True, width=1000, sort_keys=False
    )
    return f"{name}: {inside.strip()[1:-1]}"


def _value(said: Mapping[str, Any]) -> str:
    """Say in words how a value is written, and within which limits."""
    if "$ref" in said:
        return f"a mapping, [below](#{said['$ref'].rpartition('/')[2].lower()})"
    if said.get("x-value") in _PLAIN:
        return _PLAIN[said["x-value"]] + _limits(said)
    if "enum" in said:
        return " or ".join(code(each) for each in said["enum"])
    kind = said["type"] if isinstance(said["type"], str) else said["type"][0]
    match kind:
        case "boolean":
            return "`true` or `false`"
        case "integer":
            return f"whole number{_limits(said)}"
        case "string":
            return f"text, at most {said['maxLength']} characters"
        case "array":
            return f"list of {_items(said['items'])}{_counted(said, 'Items')}"
        case _:
            return f"a mapping{_counted(said, 'Properties')}"


def _items(items: Mapping[str, Any]) -> str:
    if "$ref" in items:
        return "entries"
    if "anyOf" in items:
        return "names, or of mappings as below"
    return {"host:port": "`host:port`"}.get(items.get("x-value", ""), "texts")


def _counted(said: Mapping[str, Any], what: str) -> str:
    most = said.get(f"max{what}")
    return "" if most is None else f", at most {most:,}"


def _limits(said: Mapping[str, Any]) -> str:
    number = said["anyOf"][0] if "anyOf" in said else said
    if "maximum" not in number:
        return ""
    if "exclusiveMinimum" in number:
        return f", above {number['exclusiveMinimum']}"
    least, most = number["minimum"], number["maximum"]
    match said.get("x-value"):
        case "size":
            return f", {_bytes(least)} to {_bytes(most)}"
        case "length of time":
            return f", {least:g}s to {most:g}s"
        case _:
            return f", {least:,} to {most:,}"


def _bytes(size: int) -> str:
    """Print a size in the largest unit of which it is a whole number."""
    units = (("TiB", quantity.TIB), ("GiB", quantity.GIB), ("MiB", quantity.MIB))
    unit, bytes_ = next(
        ((unit, bytes_) for unit, bytes_ in units if size % bytes_ == 0), ("KiB", quantity.KIB)
    )
    return f"{size // bytes_}{unit}"


def _later(fields: Fields, kinds: Mapping[str, Fields]) -> str:
    rows = []
    for name, said in fields.items():
        if _is_later(said):
            of = "strategies" if name not in kinds["DataSource"] else "all kinds"
            now = f"`{name}: {said['const']}`" if "const" in said else "nothing: take it out"
            rows.append((code(name), of, now))
    return table(("field", "of", "what may be written today"), rows)
