"""Entries in the company of others: names, inputs, and whether what is wired can work at all."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

from ntp.contract.names import Kind, object_name
from orchestrator.errors import Problem
from orchestrator.spec.complaint import MAX_PROBLEMS, listed, near
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


def check_company(entries: Sequence[Entry], *, complete: bool = True) -> list[Problem]:
    """Return what is wrong between entries.

    Not `complete`, some are in files that could not be read: only that a name is taken is certain.
    """
    problems = list(islice(chain(_names(entries), _places(entries)), MAX_PROBLEMS))
    if not complete:
        return problems
    company = _Company(entries)
    for entry in entries:
        if len(problems) > MAX_PROBLEMS:
            break
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


def _places(entries: Sequence[Entry]) -> Iterator[Problem]:
    for entry in entries:
        if "source" in entry.fields and "image" in entry.fields:
            message = "'source' and 'image' both say where the plugin is"
            yield entry.problem(("image",), message, "keep one of the two")


class _Company:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self.known = {entry.name: entry for entry in entries}
        self.enabled = [entry for entry in entries if entry.fields.get("enabled", True)]
        self.by_kind: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for entry in self.enabled:
            self.by_kind[entry.kind].append(entry.name)
        self._all_sources = frozenset(self.by_kind[Kind.DATA_SOURCE])
        self._sources_of: dict[str, frozenset[str]] = {}
        self._symbols_of: dict[str, frozenset[str] | None] = {}
        self._hints = MAX_HINTS

    def inputs(self, entry: Entry) -> list[Problem]:
        problems: list[Problem] = []
        listed_before: set[tuple[str, str | None]] = set()
        good = True
        for at, each in enumerate(entry.fields["inputs"]):
            words = self._one(entry, each["from"])
            pair = (each["from"], each.get("bars"))
            if words is None and pair in listed_before:
                fix = (
                    "put its symbols into one input"
                    if "symbols" in each
                    else "take one of them out"
                )
                words = (f"'{each['from']}' is listed twice", fix)
            listed_before.add(pair)
            if words is not None:
                good = False
                problems.append(entry.problem(("inputs", at, "from"), *words))
            elif len(each) > 1:
                problems += self._details(entry, self.known[each["from"]], each, at)
        if good:
            problems += self._purpose(entry)
        return problems

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

    def _policy(
        self, entry: Entry, producer: Entry, each: Mapping[str, Any], at: int
    ) -> Iterator[Problem]:
        policy = each.get("policy", "all")
        others = {
            other.get("policy", "all")
            for other in entry.fields["inputs"]
            if other["from"] == each["from"]
        }
        if "policy" not in each:
            return
        if producer.kind is not Kind.DATA_SOURCE:
            message = f"'policy' is about ticks, and {producer.name} has none"
            fix = "put 'policy' on the input from a data source"
        elif entry.kind is Kind.EXECUTOR:
            message, fix = "executors trade on every tick", "take 'policy' out"
        elif policy == "latest" and "bars" in each:
            message, fix = "bars are made of every tick", "write all or all-or-fail"
        elif len(others) > 1:
            message = f"'{producer.name}' is listed with another policy too"
            fix = "write the same policy on each of its inputs"
        else:
            return
        yield entry.problem(("inputs", at, "policy"), message, fix)

    def _details(
        self, entry: Entry, producer: Entry, each: Mapping[str, Any], at: int
    ) -> Iterator[Problem]:
        if "bars" in each and producer.kind is not Kind.DATA_SOURCE:
            message = f"bars are made of ticks, and {producer.name} has none"
            fix = "put 'bars' on the input from a data source"
            yield entry.problem(("inputs", at, "bars"), message, fix)
        elif "bars" in each and entry.kind is Kind.EXECUTOR:
            message = "executors trade on every tick"
            yield entry.problem(("inputs", at, "bars"), message, "take 'bars' out")
        yield from self._policy(entry, producer, each, at)
        has = self._symbols(producer)
        if has is None or has.issuperset(each.get("symbols", ())):
            return
        for number, symbol in enumerate(each["symbols"]):
            if symbol not in has:
                meant = near(symbol, sorted(has))
                fix = f"did you mean '{meant}'?" if meant else f"it has {listed(sorted(has))}"
                message = f"'{producer.name}' has no symbol '{symbol}'"
                yield entry.problem(("inputs", at, "symbols", number), message, fix)

    def _purpose(self, entry: Entry) -> Iterator[Problem]:
        """Refuse what would run and wait for ever."""
        said = entry.fields["inputs"]
        if entry.kind is Kind.STRATEGY:
            sources = self._sources(entry)
            if not sources:
                message = f"'{entry.name}' listens to no data source, so it never has a tick"
                fix = f"add one of {listed(self.by_kind[Kind.DATA_SOURCE]) or 'data_sources'}"
                yield entry.problem(("inputs",), message, fix)
                return
            for at, each in enumerate(said):
                indicator = self.known[each["from"]]
                if indicator.kind is not Kind.INDICATOR:
                    continue
                valued = self._sources(indicator)
                if valued.isdisjoint(sources):
                    message = f"'{indicator.name}' values no tick that '{entry.name}' listens to"
                    fix = f"listen to {listed(sorted(valued))} too"
                    yield entry.problem(("inputs", at, "from"), message, fix)
        elif entry.kind is Kind.EXECUTOR:
            kinds = [self.known[each["from"]].kind for each in said]
            if Kind.STRATEGY not in kinds:
                message = f"'{entry.name}' listens to no strategy, so it never trades"
                fix = f"add one of {listed(self.by_kind[Kind.STRATEGY]) or 'strategies'}"
                yield entry.problem(("inputs",), message, fix)

    def _sources(self, entry: Entry) -> frozenset[str]:
        """Return the data sources that an indicator or a strategy hears."""
        if "inputs" not in entry.fields:
            return self._all_sources
        found = self._sources_of.get(entry.name)
        if found is None:
            names = [each["from"] for each in entry.fields["inputs"]]
            producers = [self.known[name] for name in names if name in self.known]
            found = frozenset([each.name for each in producers if each.kind is Kind.DATA_SOURCE])
            self._sources_of[entry.name] = found
        return found

    def _symbols(self, producer: Entry) -> frozenset[str] | None:
        """Return what a source's config lists; None where that is not known before it runs."""
        if producer.name not in self._symbols_of:
            has = producer.fields.get("config", {}).get("symbols")
            plain = (
                producer.kind is Kind.DATA_SOURCE
                and isinstance(has, list)
                and all(isinstance(symbol, str) and "${" not in symbol for symbol in has)
            )
            self._symbols_of[producer.name] = frozenset(has) if plain and has else None
        return self._symbols_of[producer.name]

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
