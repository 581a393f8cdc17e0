"""Entries in the company of others: names, inputs, and whether what is wired can work at all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ntp.contract.names import Kind, object_name
from orchestrator.errors import Problem
from orchestrator.spec.complaint import listed, near
from orchestrator.spec.declared import Entry

MAX_EDGES: Final = 1_000_000
MAX_HINTS: Final = 100
"""Looking for what was meant goes through all names: not for each of thousands of mistakes."""

_MAY_HEAR: Final = {
    Kind.DATA_SOURCE: frozenset[Kind](),
    Kind.INDICATOR: frozenset({Kind.DATA_SOURCE}),
    Kind.STRATEGY: frozenset({Kind.DATA_SOURCE, Kind.INDICATOR}),
    Kind.EXECUTOR: frozenset({Kind.STRATEGY, Kind.DATA_SOURCE}),
}
_HEARS: Final = {
    Kind.INDICATOR: "indicators listen to data sources",
    Kind.STRATEGY: "strategies listen to data sources and indicators",
    Kind.EXECUTOR: "executors listen to strategies and data sources",
}
_WORDS: Final = {
    Kind.DATA_SOURCE: "a data source",
    Kind.INDICATOR: "an indicator",
    Kind.STRATEGY: "a strategy",
    Kind.EXECUTOR: "an executor",
}


def check_company(entries: Sequence[Entry]) -> list[Problem]:
    """Return what is wrong between entries."""
    problems = list(_names(entries))
    company = _Company(entries)
    for entry in entries:
        if entry.fields.get("enabled", True) and "inputs" in entry.fields:
            problems += company.inputs(entry)
    problems += company.too_many()
    return problems


def _names(entries: Sequence[Entry]) -> Iterator[Problem]:
    first: dict[str, Entry] = {}
    for entry in entries:
        earlier = first.setdefault(object_name(entry.name), entry)
        if earlier is entry:
            continue
        place = earlier.at(("name",))
        if earlier.name == entry.name:
            message = f"the name '{entry.name}' is taken, by {place.file}:{place.line}"
        else:
            message = (
                f"'{entry.name}' and '{earlier.name}' ({place.file}:{place.line}) "
                "are one name to containers: '_' becomes '-'"
            )
        fix = "give it another name; 'plugin:' says which plugin it runs"
        yield entry.problem(("name",), message, fix)


class _Company:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self.known = {entry.name: entry for entry in entries}
        self.enabled = [entry for entry in entries if entry.fields.get("enabled", True)]
        self.by_kind: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for entry in self.enabled:
            self.by_kind[entry.kind].append(entry.name)
        self._hints = MAX_HINTS

    def inputs(self, entry: Entry) -> Iterator[Problem]:
        listed_before: set[tuple[str, str | None]] = set()
        good = True
        for at, each in enumerate(entry.fields["inputs"]):
            place, name, bars = ("inputs", at), each["from"], each.get("bars")
            words = self._one(entry, name)
            if words is None and (name, bars) in listed_before:
                words = (f"'{name}' is listed twice", "put its symbols into one input")
            listed_before.add((name, bars))
            if words is not None:
                good = False
                yield entry.problem((*place, "from"), *words)
            else:
                yield from self._details(entry, self.known[name], each, place)
        if good:
            yield from self._purpose(entry)

    def _one(self, entry: Entry, name: str) -> tuple[str, str] | None:
        """Return message and fix for an input that cannot be."""
        if name == entry.name:
            return f"'{name}' listens to itself", f"take it out: {_HEARS[entry.kind]}"
        producer = self.known.get(name)
        if producer is None:
            self._hints -= 1
            if self._hints < 0:
                return f"no entry is called '{name}'", "name an entry"
            others = [
                other
                for kind in _MAY_HEAR[entry.kind]
                for other in self.by_kind[kind]
                if other != entry.name
            ]
            meant = near(name, others)
            fix = f"there are {listed(sorted(others))}" if others else "add that entry"
            return f"no entry is called '{name}'", f"did you mean '{meant}'?" if meant else fix
        if producer.kind not in _MAY_HEAR[entry.kind]:
            self._hints -= 1
            circle = self._circle(entry.name, name) if self._hints >= 0 else []
            if circle:
                message = f"the inputs go round in a circle: {' -> '.join(circle)}"
                return message, f"take one out: {_HEARS[entry.kind]}"
            message = f"'{name}' is {_WORDS[producer.kind]}, and this is {_WORDS[entry.kind]}"
            return message, f"take it out: {_HEARS[entry.kind]}"
        if not producer.fields.get("enabled", True):
            place = producer.at(("enabled",))
            message = f"'{name}' is not enabled, see {place.file}:{place.line}"
            return message, "enable it, or take the input out"
        return None

    def _circle(self, start: str, first: str) -> list[str]:
        """Return the way from `start` over `first` back to it; empty if there is none."""
        ways: list[list[str]] = [[start, first]]
        seen = {first}
        while ways:
            way = ways.pop()
            if way[-1] == start:
                return way
            entry = self.known.get(way[-1])
            for each in entry.fields.get("inputs", ()) if entry else ():
                if each["from"] not in seen:
                    seen.add(each["from"])
                    ways.append([*way, each["from"]])
        return []

    def _details(
        self,
        entry: Entry,
        producer: Entry,
        each: Mapping[str, Any],
        place: tuple[str | int, ...],
    ) -> Iterator[Problem]:
        if "bars" in each and producer.kind is not Kind.DATA_SOURCE:
            fix = "put 'bars' on the input from a data source"
            yield entry.problem(
                (*place, "bars"), f"bars are made of ticks, and {producer.name} has none", fix
            )
        elif "bars" in each and entry.kind is Kind.EXECUTOR:
            fix = "take 'bars' out"
            yield entry.problem((*place, "bars"), "executors trade on every tick", fix)
        has = producer.fields.get("config", {}).get("symbols")
        if producer.kind is Kind.DATA_SOURCE and isinstance(has, list) and has:
            names = [symbol for symbol in has if isinstance(symbol, str) and "${" not in symbol]
            for at, symbol in enumerate(each.get("symbols", ()) if len(names) == len(has) else ()):
                if symbol not in names:
                    meant = near(symbol, names)
                    fix = f"did you mean '{meant}'?" if meant else f"it has {listed(names)}"
                    message = f"'{producer.name}' has no symbol '{symbol}'"
                    yield entry.problem((*place, "symbols", at), message, fix)

    def _purpose(self, entry: Entry) -> Iterator[Problem]:
        """Refuse what would run and wait for ever."""
        if entry.kind is Kind.STRATEGY:
            sources = self._sources(entry)
            if not sources:
                message = f"'{entry.name}' listens to no data source, so it never has a tick"
                fix = f"add one of {listed(self.by_kind[Kind.DATA_SOURCE]) or 'data_sources'}"
                yield entry.problem(("inputs",), message, fix)
                return
            for at, each in enumerate(entry.fields["inputs"]):
                indicator = self.known[each["from"]]
                if indicator.kind is Kind.INDICATOR and not (self._sources(indicator) & sources):
                    message = f"'{indicator.name}' values no tick that '{entry.name}' listens to"
                    fix = f"listen to {listed(sorted(self._sources(indicator)))} too"
                    yield entry.problem(("inputs", at, "from"), message, fix)
        elif entry.kind is Kind.EXECUTOR and not any(
            self.known[each["from"]].kind is Kind.STRATEGY for each in entry.fields["inputs"]
        ):
            message = f"'{entry.name}' listens to no strategy, so it never trades"
            fix = f"add one of {listed(self.by_kind[Kind.STRATEGY]) or 'strategies'}"
            yield entry.problem(("inputs",), message, fix)

    def _sources(self, entry: Entry) -> set[str]:
        if "inputs" not in entry.fields:
            return set(self.by_kind[Kind.DATA_SOURCE])
        return {
            each["from"]
            for each in entry.fields["inputs"]
            if each["from"] in self.known and self.known[each["from"]].kind is Kind.DATA_SOURCE
        }

    def too_many(self) -> Iterator[Problem]:
        """Refuse a default wiring that no machine could carry: it grows with the square."""
        count, last = 0, None
        sizes = {kind: len(names) for kind, names in self.by_kind.items()}
        for entry in self.enabled:
            if "inputs" in entry.fields:
                count += len(entry.fields["inputs"])
                continue
            heard = _MAY_HEAR[entry.kind]
            count += sum(sizes[kind] for kind in heard)
            last = entry if heard else last
            if count > MAX_EDGES and last is not None:
                message = f"everybody hears everybody: more than {MAX_EDGES:,} connections"
                yield last.problem((), message, "say with 'inputs' who listens to what")
                return
