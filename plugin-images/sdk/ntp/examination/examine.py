"""The whole examination of a plugin: read it, run it confined, check it, say what came of it."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from ntp.contract.launch import Trading
from ntp.contract.messages import Fill, SignalMessage
from ntp.contract.names import Kind
from ntp.contract.problem import Problem
from ntp.examination import source
from ntp.examination.author import Target, target
from ntp.examination.carried import unpacked
from ntp.examination.confined import Chamber, Told
from ntp.examination.finding import Finding, Status
from ntp.examination.furnished import wheels
from ntp.examination.left import records
from ntp.examination.order import ASSESSMENT, FILLS, SIGNALS, Answer, Data, Order, Subject
from ntp.examination.rows import Rows
from ntp.examination.way_out import way_out
from ntp.examination.wish import Metering, Wish
from ntp.layouts import LayoutError
from ntp.package.author import AuthorError
from ntp.recording import SAMPLE
from ntp.statistics import Assessment

MOST_SHOWN = 100_000
"""Signals, and fills, that a report is made of; an answer counts them all."""


@dataclass(frozen=True, slots=True)
class Subjects:
    """A plugin and its indicators, by the names that a strategy finds them under; `order` lacks only data."""

    target: Target
    indicators: Mapping[str, Target]
    order: Order
    codes: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of it.

    Attributes:
        order: with what it was run.
        tier, missing: how it was isolated, and what of that was not to be had here.
        files: that were read, each with its SHA-256.
        mapping: how their columns were understood, in words.
        signals, fills: the first of them.
        assessment: the figures, which the process claims.
    """

    target: Target
    order: Order
    answer: Answer
    findings: Sequence[Finding]
    tier: int
    active: Sequence[str]
    missing: Sequence[str]
    files: Mapping[str, str] = field(default_factory=dict)
    mapping: str = ""
    signals: Sequence[SignalMessage] = ()
    fills: Sequence[Fill] = ()
    assessment: Assessment | None = None

    @property
    def passed(self) -> bool:
        ran = self.answer.raised is None and not self.answer.refused
        return ran and all(each.status is not Status.FAILED for each in self.findings)


def examine(wish: Wish, told: Told) -> Examined:
    """Examine a plugin.

    Raises:
        AuthorError: the plugin, its config or its data cannot be used; with everything that is wrong.
        LayoutError: the files cannot be understood.
        PackageError: what the plugin requires cannot be had.
        ConfinedError: a process gave no answer.
    """
    with Chamber(wish.limits, told) as chamber:
        subjects = ready(wish, chamber, told)
        if subjects.target.manifest.kind is Kind.DATA_SOURCE:
            return _heard(chamber, wish, subjects)
        return _shown(chamber, wish, subjects, told)


def ready(wish: Wish, chamber: Chamber, told: Told) -> Subjects:
    """Read the plugin and its indicators, and install what they require.

    Raises:
        AuthorError: with everything that is wrong.
        PackageError: what they require cannot be had.
    """
    problems: list[Problem] = []
    found: list[tuple[str, Target]] = []
    for each in [Metering("", wish.path, wish.config), *wish.indicators]:
        try:
            found.append((each.name, target(each.path, each.config, instance=each.name)))
        except AuthorError as error:
            problems += error.problems
    if problems:
        raise AuthorError(*problems)
    tested = found[0][1]
    targets = [one for _, one in found]
    given = [] if wish.wheels is None else [wish.wheels]
    chamber.wheels = [*given, *wheels(targets[len(given) :], wish.environ, told)]
    codes = [chamber.keep(dict(one.files)) for _, one in found]
    subjects = [
        Subject(
            instance=name or one.manifest.name,
            kind=one.manifest.kind,
            code=str(code),
            entrypoint=one.manifest.entrypoint,
            config=dict(one.config),
        )
        for (name, one), code in zip(found, codes, strict=True)
    ]
    order = Order(
        task="run",
        subject=subjects[0],
        folder="",
        indicators=subjects[1:],
        bars=wish.bars,
        history=wish.history,
        trading=_trading(wish.trading, tested),
        costs=dict(wish.costs),
        ticks=wish.ticks,
        seconds=wish.seconds,
    )
    return Subjects(tested, dict(found[1:]), order, codes)


def data_of(wish: Wish, tested: Target) -> Data:
    """Return the files, each found here or else in the plugin's folder; of which none names any: its sample.

    Raises:
        AuthorError: one is in neither place, or none is named and there is no sample.
    """
    named = wish.data or [SAMPLE] * (tested.folder / SAMPLE).is_file()
    if not named:
        near = sorted(
            each.name for each in tested.folder.glob("*") if each.suffix in {".csv", ".parquet"}
        )
        fix = f"--data {near[0]}" if near else "--data FILE.csv"
        raise AuthorError(Problem(str(wish.path), 0, 0, "no data to test it on was named", fix))
    files, problems = [], []
    for name in named:
        places = [Path(name), tested.folder / name]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            words = f"was not found, here or in {tested.folder}"
            problems.append(Problem(name, 0, 0, words, "name a CSV or Parquet file"))
        else:
            files.append(str(file.resolve()))
    if problems:
        raise AuthorError(*problems)
    return Data(files, dict(wish.mapping), wish.symbol, wish.zone, wish.sort)


def _trading(wished: Trading, tested: Target) -> Trading:
    """Fill in what the author recommends, as an entry would have it."""
    said = tested.manifest.trading
    given: dict[str, Any] = {}
    if said.capital is not None and wished.capital == Trading().capital:
        given["capital"] = str(said.capital)
    if said.short is not None and not wished.short:
        given["short"] = said.short
    if said.pyramid is not None and wished.pyramid == 1:
        given["pyramid"] = said.pyramid
    risk = {k: str(v) if k != "max_orders_per_minute" else v for k, v in said.risk if v is not None}
    return msgspec.structs.replace(wished, **given, risk={**risk, **wished.risk})


def _heard(chamber: Chamber, wish: Wish, subjects: Subjects) -> Examined:
    hosts = subjects.target.manifest.egress
    with ExitStack() as stack:
        door = stack.enter_context(way_out(chamber.folder / "door", hosts, wish.allow))
        order = msgspec.structs.replace(
            subjects.order, task="listen", door="" if door is None else str(door)
        )
        answer, _ = stack.enter_context(chamber.run(order, subjects.codes))
        findings = source.behaviour(answer) if not answer.refused and wish.checks else []
        return _examined(chamber, subjects, answer, findings)


def _shown(chamber: Chamber, wish: Wish, subjects: Subjects, told: Told) -> Examined:
    data = data_of(wish, subjects.target)
    rows = Rows(data)
    order = msgspec.structs.replace(
        subjects.order, data=data, assess=subjects.target.manifest.kind is Kind.STRATEGY
    )
    with ExitStack() as stack:
        answer, room = stack.enter_context(chamber.run(order, subjects.codes, shown=True))
        findings: list[Finding] = []
        if wish.checks and answer.raised is None and not answer.refused:
            told("checking it for look-ahead, chance, bad data and warm-up")
            findings = _checked(chamber, order, subjects.codes, rows, (answer, room))
        signals = list(islice(records(room / SIGNALS, SignalMessage), MOST_SHOWN))
        fills = list(islice(records(room / FILLS, Fill), MOST_SHOWN))
        assessment = _assessment(room / ASSESSMENT) if order.assess else None
    files = {file: _digest(Path(file)) for file in data.files}
    found = _examined(chamber, subjects, answer, findings)
    replaced: dict[str, Any] = {"files": files, "mapping": str(rows.dataset), "signals": signals, "fills": fills, "assessment": assessment}  # fmt: skip
    return Examined(**{**_fields(found), **replaced})


def _checked(
    chamber: Chamber, order: Order, codes: Sequence[Path], rows: Rows, ran: tuple[Answer, Path]
) -> list[Finding]:
    # Late: who leaves the checks out does not wait for them.
    from concurrent.futures import ThreadPoolExecutor

    from ntp.examination.checks import ROWS, Checks, Ran
    from ntp.examination.comparison import Sample

    sample = Sample(list(islice(chain.from_iterable(rows.blocks()), ROWS)))
    checks = Checks(chamber, order, codes, sample, whole=ran[0].ticks <= len(sample.ticks))
    with checks, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            return checks.run(Ran(*ran), pool)
        except BaseException:
            chamber.stop()
            raise


def _examined(
    chamber: Chamber, subjects: Subjects, answer: Answer, findings: Sequence[Finding]
) -> Examined:
    isolation = chamber.isolation
    return Examined(
        subjects.target,
        subjects.order,
        answer,
        findings,
        isolation.tier,
        isolation.active,
        isolation.missing,
    )


def _fields(found: Examined) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Examined.__slots__}


def _assessment(file: Path) -> Assessment | None:
    try:
        return unpacked(file)
    except FileNotFoundError:
        return None  # it was not run


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


__all__ = [
    "AuthorError",
    "Examined",
    "LayoutError",
    "Subjects",
    "data_of",
    "examine",
    "ready",
]
