"""Whether a config that was taken before may be refused now: two JSON Schemas, keyword by keyword."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

Path = tuple[str | int, ...]

_AT_LEAST = ("minLength", "minItems", "minProperties", "minContains")
_AT_MOST = ("maxLength", "maxItems", "maxProperties", "maxContains")
_OPAQUE = (
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contains", "prefixItems"),
    *("dependentSchemas", "dependentRequired", "propertyNames", "patternProperties", "multipleOf"),
)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """`path`: inside the new schema. `sure`: False where only a person can compare the two."""

    path: Path
    message: str
    sure: bool = True


def narrowed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Narrowed]:
    """Yield each way in which `now` takes less than `before`; both as `expand` returns them."""
    yield from _Comparison(before.get("$defs", {}), now.get("$defs", {})).schema(before, now, ())


class _Comparison:
    """`expand` has seen to it that references end."""

    def __init__(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        self._before, self._now = before, now

    def schema(self, before: Any, now: Any, path: Path) -> Iterator[Narrowed]:
        before, now = _resolved(before, self._before), _resolved(now, self._now)
        if now is False and before is not False:
            yield Narrowed(path, f"{_named(path)} is taken no more")
        if not isinstance(now, Mapping):
            return
        before = before if isinstance(before, Mapping) else {}
        choices = _choices(before)
        if choices is not None:
            yield from self._chosen(choices, before, now, path)
            return
        yield from _types(before, now, path)
        yield from _values(before, now, path)
        yield from _bounds(before, now, path)
        for key in _OPAQUE:
            if key in now and now[key] != before.get(key):
                yield Narrowed((*path, key), f"'{key}' of {_named(path)} has changed", sure=False)
        yield from self._keys(before, now, path)
        if "items" in now:
            yield from self.schema(before.get("items", True), now["items"], (*path, "items"))

    def _chosen(
        self, choices: list[Any], before: Mapping[str, Any], now: Mapping[str, Any], path: Path
    ) -> Iterator[Narrowed]:
        """What could be chosen can be tried, one by one."""
        had = Draft202012Validator({**before, "$defs": self._before})
        has = Draft202012Validator({**now, "$defs": self._now})
        gone = [value for value in choices if had.is_valid(value) and not has.is_valid(value)]
        if gone:
            yield Narrowed(path, f"{_named(path)} takes {_shown(gone)} no more")

    def _keys(
        self, before: Mapping[str, Any], now: Mapping[str, Any], path: Path
    ) -> Iterator[Narrowed]:
        for key in sorted(set(now.get("required", ())) - set(before.get("required", ()))):
            yield Narrowed((*path, "required"), f"{_named((*path, key))} has to be given now")
        had, has = before.get("properties", {}), now.get("properties", {})
        closed = now.get("additionalProperties", True) is False
        if closed and before.get("additionalProperties", True) is not False:
            place = (*path, "additionalProperties")
            yield Narrowed(place, f"{_named(path)} takes no further keys now")
        for key, schema in had.items():
            place = (*path, "properties", key)
            if key in has:
                yield from self.schema(schema, has[key], place)
            elif closed:
                yield Narrowed(path, f"{_named(place)} is gone")
        if before.get("additionalProperties", True) is not False:
            for key in sorted(has.keys() - had.keys()):
                # An entry may have had it for any reason, a misspelt name among them.
                place = (*path, "properties", key)
                said = f"{_named(place)} was taken as anything, and is described now"
                yield Narrowed(place, said, sure=False)


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        target = definitions.get(schema["$ref"].rpartition("/")[2], True)
        schema = {**target, **beside} if isinstance(target, Mapping) else target
    return schema


def _types(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> Iterator[Narrowed]:
    has = _listed(now.get("type"))
    if not has:
        return
    taken = {*has, "integer"} if "number" in has else set(has)
    had = _listed(before.get("type"))
    if not had:
        yield Narrowed((*path, "type"), f"{_named(path)} has to be {' or '.join(has)} now")
    elif gone := [word for word in had if word not in taken]:
        words = f"{_named(path)} was {' or '.join(gone)}, and has to be {' or '.join(has)} now"
        yield Narrowed((*path, "type"), words)


def _values(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> Iterator[Narrowed]:
    choices = _choices(now)
    if choices is not None:
        yield Narrowed(path, f"{_named(path)} takes only {_shown(choices)} now")
    for key, says in (("pattern", "a pattern"), ("x-pattern", "a pattern"), ("format", "a format")):
        if key in now and now[key] != before.get(key):
            yield Narrowed(
                (*path, key), f"{_named(path)} has {says} that was not there", sure=False
            )
    if now.get("uniqueItems") and not before.get("uniqueItems"):
        yield Narrowed((*path, "uniqueItems"), f"{_named(path)} takes nothing twice now")


def _bounds(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> Iterator[Narrowed]:
    for plain, excluded, sign, words in (
        ("minimum", "exclusiveMinimum", 1, ("at least", "above")),
        ("maximum", "exclusiveMaximum", -1, ("at most", "below")),
    ):
        had, has = (_edge(schema, plain, excluded, sign) for schema in (before, now))
        if has is not None and (had is None or has > had):
            value, is_excluded = sign * has[0], has[1]
            yield Narrowed(path, f"{_named(path)} has to be {words[is_excluded]} {value} now")
    for key in _AT_LEAST:
        if now.get(key, 0) > before.get(key, 0):
            yield Narrowed((*path, key), f"'{key}' of {_named(path)} is {now[key]} now")
    for key in _AT_MOST:
        if key in now and now[key] < before.get(key, float("inf")):
            yield Narrowed((*path, key), f"'{key}' of {_named(path)} is {now[key]} now")


def _edge(
    schema: Mapping[str, Any], plain: str, excluded: str, sign: int
) -> tuple[float, bool] | None:
    """Return the bound that counts, times `sign`, and whether it is excluded: the greater the narrower."""
    found = [(sign * schema[key], key == excluded) for key in (plain, excluded) if key in schema]
    return max(found, default=None)


def _choices(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _listed(word: object) -> list[str]:
    if isinstance(word, str):
        return [word]
    return [str(each) for each in word] if isinstance(word, Sequence) else []


def _named(path: Path) -> str:
    steps = [str(step) for step in path if step not in ("properties", "required")]
    return f"config.{'.'.join(steps)}" if steps else "config"


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values[:6])) + ("…" if len(values) > 6 else "")
