"""What the model refuses, as problems with a place and a fix; the fix travels in the JSON Schema."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from pydantic_core import ErrorDetails

from ntp.contract.names import Kind
from orchestrator.errors import Problem
from orchestrator.spec import nearby, shape
from orchestrator.spec.quantity import shown
from orchestrator.spec.source import Document

MAX_PROBLEMS = 1000
_OTHERWISE = "see schemas/plugins.schema.json for what can stand here"
_OTHER_WORDS = dict.fromkeys(("settings", "params", "parameters", "options", "args"), "config")
_SECTIONS = {kind.section: kind for kind in Kind}


def complaints(document: Document, details: Sequence[ErrorDetails]) -> Iterator[Problem]:
    """Yield the problems of one file; of more than `MAX_PROBLEMS`, how many there are."""
    keyed = _keyed(details)
    details = [each for each in details if not _is_told_elsewhere(each, keyed)]
    further = len(details) - MAX_PROBLEMS
    if further > 0:
        message = f"{further:,} more problems than are shown"
        yield Problem(document.file, 0, 0, message, "mend these first")
    for detail in details[:MAX_PROBLEMS]:
        # A mistake in a key itself has the step '[key]' after the key.
        path = tuple(step for step in detail["loc"] if step != "[key]")
        name = keyed.get(path[:-1])
        if name is not None:
            message = f"the entry's name '{name}' was a key of its own"
            fix = f"write '- name: {name}', and below it 'config:' with what the plugin reads"
        else:
            message, fix = _words(path, detail)
        yield document.problem(path, message, fix, entry=_entry(document, path))


def _keyed(details: Sequence[ErrorDetails]) -> dict[tuple[str | int, ...], str]:
    """Return the entries that were written as `- their_name: {…}`, with that name."""
    found: dict[tuple[str | int, ...], str] = {}
    for detail in details:
        place, entry = tuple(detail["loc"]), detail["input"]
        if detail["type"] == "missing" and place[-1] == "name" and len(place) == 4:
            fields = _node(place[:-1]).get("properties", {})
            match list(entry.items()) if isinstance(entry, Mapping) else []:
                case [(str(key), None | dict())] if near(key, fields) is None:
                    found[place[:-1]] = key
    return found


def _is_told_elsewhere(detail: ErrorDetails, keyed: Mapping[tuple[str | int, ...], str]) -> bool:
    """Tell whether a field is missing only because its name, or that of its entry, is written wrongly."""
    *above, field = detail["loc"]
    if detail["type"] != "missing":
        return False
    known = _node(above).get("properties", {})
    there = detail["input"] if isinstance(detail["input"], Mapping) else {}
    unknown = [str(key) for key in there if key not in known]
    return tuple(above) in keyed or any(near(key, known) == field for key in unknown)


def near(word: str, known: Sequence[str] | Mapping[str, Any]) -> str | None:
    """Return which of the known words was meant, if one is alike."""
    # Letters of the other case are no likeness to difflib.
    folded = {each.casefold(): each for each in reversed(list(known))}
    found = next(iter(get_close_matches(word, known, 1, 0.6)), None)
    return folded.get(word.casefold(), found)


def listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _words(path: Sequence[str | int], detail: ErrorDetails) -> tuple[str, str]:
    name = _field(path)
    match detail["type"]:
        case "refused":
            context = detail["ctx"]
            return f"{name} {context['message']}", str(context["fix"]) + _filled(detail["input"])
        case "missing":
            where = f"'{name}' is missing"
            entry = name == "name" and len(path) == 4
            more = ", or take the '-' out if this belongs to the entry above" if entry else ""
            return where, f"add '{name}:'{more}; {_fix(path)}"
        case "extra_forbidden":
            return _unknown(path)
        case _ if detail["loc"][-1:] == ("[key]",):
            return f"the name was {shown(name)}", _fix(path[:-1])
        case _:
            return f"{name} was {shown(detail['input'])}", _fix(path) + _filled(detail["input"])


def _filled(value: object) -> str:
    """Return what to add where somebody hoped for a variable."""
    variable = isinstance(value, str) and "${" in value
    return "; ${…} is filled in under 'config' only" if variable else ""


def _unknown(path: Sequence[str | int]) -> tuple[str, str]:
    word = str(path[-1])
    hidden = nearby.invisible(word)
    if hidden is not None:
        return f"a key has an invisible character: {hidden}", "write it anew, with plain spaces"
    known = _node(path[:-1]).get("properties", {})
    above = [name for name in known if word in _node((*path[:-1], name)).get("properties", {})]
    if above and not _refuses(path[:-1], above[0]):
        return f"'{word}' stands outside '{above[0]}'", f"put it under '{above[0]}:'"
    meant = _OTHER_WORDS.get(word) if _OTHER_WORDS.get(word) in known else near(word, known)
    section = str(path[1]) if path[:1] == ("plugins",) and len(path) == 4 else ""
    if section:
        others = [
            other
            for other in _SECTIONS
            if other != section and word in _node(("plugins", other, 0)).get("properties", {})
        ]
        if others:
            message = f"'{word}' does not act on {section.replace('_', ' ')}"
            return message, f"take it out: it is for {listed(others).replace('_', ' ')}"
    if meant is None and path[0] == "plugins" and len(path) == 2:
        return f"unknown kind '{word}'", f"the kinds are {listed(list(known))}"
    acting = sorted(name for name, field in known.items() if "not" not in field)
    fix = f"did you mean '{meant}'?" if meant else f"known fields: {listed(acting, 30)}"
    if section and meant is None:
        fix = f"put it under 'config:' if the plugin reads it; {fix}"
    return f"unknown field '{word}'", fix


def _refuses(path: Sequence[str | int], name: str) -> bool:
    """Tell whether that field does not act there at all."""
    return "not" in _node((*path, name))


def _field(path: Sequence[str | int]) -> str:
    """Return the last name of a path, as in `memory` or `symbols[0]`."""
    if not path:
        return "the file"
    if isinstance(path[-1], int) and len(path) > 1:
        return f"{path[-2]}[{path[-1]}]"
    return str(path[-1])


def _fix(path: Sequence[str | int]) -> str:
    found = _OTHERWISE
    for length in range(len(path) + 1):
        node = _node(path[:length])
        found = str(node.get("x-fix", found))
    return found


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    return shape.FILE.json_schema()


def _node(path: Sequence[str | int]) -> dict[str, Any]:
    """Return the part of the schema that describes what stands at a path."""
    schema = _schema()
    node: dict[str, Any] = schema
    for step in path:
        inner = _resolved(schema, node)
        if isinstance(step, int):
            node = inner.get("items", {})
        else:
            node = inner.get("properties", {}).get(step, inner.get("additionalProperties") or {})
        if not isinstance(node, dict):
            return {}
    resolved = _resolved(schema, node)
    return {**resolved, "x-fix": node["x-fix"]} if "x-fix" in node else resolved


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for branch in node.get("anyOf", ()):
        if branch.get("type") == "array" or "$ref" in branch:
            node = {**branch, **{key: node[key] for key in ("x-fix",) if key in node}}
            break
    reference = node.get("$ref")
    if reference is not None:
        named = schema["$defs"][str(reference).removeprefix("#/$defs/")]
        return {**named, **{key: node[key] for key in ("x-fix",) if key in node}}
    return node


def _entry(document: Document, path: Sequence[str | int]) -> str | None:
    if len(path) < 3 or path[0] != "plugins":
        return None
    try:
        name = document.value["plugins"][path[1]][path[2]]["name"]
    except (KeyError, TypeError, IndexError):
        return None
    return name if isinstance(name, str) else None
