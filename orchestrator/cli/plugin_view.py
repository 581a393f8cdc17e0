"""What a person reads of a plugin before it is installed."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.cli.output import one_line, put
from orchestrator.cli.words import bytes_of

VALUES = 12
"""Of a report, that are shown."""
PARTS = 8
"""Of an SBOM, that are shown."""


def asks_for(found: Mapping[str, Any]) -> None:
    """Print, on stderr, what a person agrees to."""
    found = _plain(found)
    for line in (_title(found), *_signed(found), *_permissions(found)):
        put(line, stderr=True)


def show(found: Mapping[str, Any]) -> None:
    """Print all of it."""
    found = _plain(found)
    for line in (_title(found), *_signed(found), *_permissions(found), *_rest(found)):
        put(line)


def _plain(value: Any) -> Any:
    """Whoever made the plugin wrote these texts: none may print a line that looks like one of ours."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {one_line(str(name)): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _title(found: Mapping[str, Any]) -> str:
    before = f" (now {found['before']})" if found.get("before") else ""
    about = f": {found['description']}" if found["description"] else ""
    return f"{found['plugin']} {found['version']}{before}, {found['kind']}{about}"


def _signed(found: Mapping[str, Any]) -> Iterator[str]:
    before = found.get("signed_before")
    other = f" (now by {before})" if before not in (None, found["signed_by"]) else ""
    yield f"  signed by   {found['signed_by']}{other}"
    where = found.get("marketplace")
    yield f"  from        {f'marketplace {where!r}' if where else 'a file'}, {found['digest']}"


def _permissions(found: Mapping[str, Any]) -> Iterator[str]:
    asked = found["permissions"]
    yield f"  network     {', '.join(asked['egress']) or 'none'}"
    yield f"  secrets     {', '.join(asked['secrets']) or 'none'}"
    limits = ", ".join(f"{name} {value}" for name, value in _flat(found["limits"]))
    yield f"  recommends  {limits or 'no limits'}"
    if not found["docker"]:
        yield "  runs        without Docker only: there is no Linux in its image"


def _rest(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"  author      {found['author'] or '-'}"
    yield f"  licence     {found['licence'] or '-'}"
    yield f"  size        {bytes_of(found['size'])}"
    yield f"  published   {found['published']}"
    yield f"  versions    {', '.join(found['versions'])}"
    config = ", ".join(found["config_schema"].get("properties", found["config_schema"]))
    yield f"  config      {config or 'none'}"
    if found["report"] is None:
        yield "  report      none"
    else:
        yield "  report      as its author signed it:"
        values = list(_flat(found["report"]))
        for name, value in values[:VALUES]:
            yield f"    {name}: {value}"
        if len(values) > VALUES:
            yield f"    and {len(values) - VALUES} more: -o json"
    parts = [f"{each['name']} {each['version']}" for each in found["sbom"]]
    more = f", and {len(parts) - PARTS} more" if len(parts) > PARTS else ""
    yield f"  SBOM        {', '.join(parts[:PARTS])}{more}"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, each in value.items():
        if isinstance(each, Mapping):
            yield from _flat(each, f"{prefix}{name}.")
        elif isinstance(each, list):
            yield f"{prefix}{name}", f"{len(each)} values"
        else:
            yield f"{prefix}{name}", " ".join(str(each).split())[:200]
