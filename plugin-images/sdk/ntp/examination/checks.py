"""The checks of a plugin that is shown data: no look into the future, no chance, no fall, no long memory.

Each is a run of its own, in a process of its own, on the first ticks of the data. What the process finds
of the data is what it is shown, so a plugin that reads the file itself finds no more either.
"""

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from msgspec.structs import replace

from ntp.contract.names import Kind
from ntp.examination import rows
from ntp.examination.comparison import (
    Made,
    Sample,
    first_difference,
    first_line,
    last_difference,
    signals,
    within,
)
from ntp.examination.confined import Chamber
from ntp.examination.fault import ConfinedError
from ntp.examination.finding import Finding, Status
from ntp.examination.hostile_cases import UNSIZED
from ntp.examination.order import FILLS, SIGNALS, VALUES, Answer, Data, Order

ROWS = 20_000
"""Of the data, that the checks look at."""
CUTS = 3
_FEWEST = 4
"""Rows below which nothing can be cut."""
_SEED = 1
LOOK_AHEAD, DETERMINISM = "look-ahead", "determinism"
HOSTILE, WARM_UP = "hostile data", "warm-up"


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that is over, and the folder of what it made."""

    answer: Answer
    folder: Path


class Checks:
    """All checks of one plugin.

    Args:
        order: the whole run's, without figures.
        codes: the plugins' folders.
        sample: the first ticks of the data; `whole`: there are no more.
    """

    def __init__(
        self,
        chamber: Chamber,
        order: Order,
        codes: Sequence[Path],
        sample: Sample,
        *,
        whole: bool,
    ) -> None:
        self._chamber = chamber
        self._order = replace(order, assess=False, marks=[])
        self._codes = codes
        self._sample = sample
        self._whole = whole
        self._rows = len(sample.ticks)
        self._stack = ExitStack()
        self._bars = order.bars is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def run(self, full: Ran, pool: Executor) -> list[Finding]:
        """Return what they find, in the order in which they are told; `full`: the run on all data.

        Raises:
            ConfinedError: a run gave no answer.
        """
        choose = random.Random(_SEED)  # noqa: S311 - repeatable chance
        first, last = self._rows // 5, self._rows - 1
        cuts = sorted(choose.sample(range(first, last), min(CUTS, max(last - first, 0))))
        later = self._rows // 4
        hostile = pool.submit(self._hostile)
        if self._rows < _FEWEST:
            few = f"{self._rows} ticks are too few"
            names = (LOOK_AHEAD, DETERMINISM, WARM_UP)
            return [*(Finding(name, Status.SKIPPED, few) for name in names), hostile.result()]
        twin = pool.submit(self._ran, self._rows, seed="2")
        parts = [(cut, pool.submit(self._ran, cut)) for cut in cuts]
        shifted = pool.submit(self._ran, self._rows, start=later)
        by_chance = self._determinism(full, twin.result())
        return [
            self._look_ahead(
                full,
                [*((cut, part.result()) for cut, part in parts), (self._rows, twin.result())],
                by_chance,
            ),
            by_chance,
            self._warm_up(full, shifted.result(), later),
            hostile.result(),
        ]

    def _ran(self, stop: int, *, start: int = 0, seed: str = "0") -> Ran:
        """Run it on rows from `start` on, below `stop`."""
        file = self._chamber.folder / f"rows-{start}-{stop}-{seed}.ticks"
        data = Data([str(rows.write(self._sample.ticks[start:stop], file))])
        run = self._chamber.run(replace(self._order, data=data), self._codes, seed=seed)
        return Ran(*self._stack.enter_context(run))

    def _hostile(self) -> Finding:
        file = self._chamber.folder / "hostile.ticks"
        data = Data([str(rows.write(self._sample.ticks[:ROWS], file))])
        order = replace(self._order, task="hostile", data=data)
        try:
            with self._chamber.run(order, self._codes) as (answer, _):
                return hostile(answer)
        except ConfinedError as error:
            return Finding(HOSTILE, Status.FAILED, str(error), fix=error.fix)

    def _determinism(self, full: Ran, twin: Ran) -> Finding:
        different = self._difference(full, twin, self._rows)
        if different is not None:
            # The first run was shown another file, and maybe more: only the same again tells chance.
            different = self._difference(self._ran(self._rows, seed="3"), twin, self._rows)
        made = self._words(twin)
        if different is None:
            words = f"{made} were made again in another process, with other hashes"
            return Finding(DETERMINISM, Status.PASSED, words)
        where = self._sample.at(*different)
        return Finding(
            DETERMINISM, Status.FAILED, f"the same data gave something else at {where}", where,
            "take out what depends on a clock, on chance or on the order of a set",
        )  # fmt: skip

    def _look_ahead(
        self, full: Ran, parts: Sequence[tuple[int, Ran]], by_chance: Finding
    ) -> Finding:
        if self._order.subject.kind is Kind.EXECUTOR:
            return Finding(LOOK_AHEAD, Status.SKIPPED, "an executor makes no signals")
        if by_chance.status is Status.FAILED:
            return Finding(LOOK_AHEAD, Status.SKIPPED, "no two runs are alike: see determinism")
        for cut, part in parts:
            different = self._difference(full, part, cut)
            if different is not None:
                where = self._sample.at(*different)
                words = f"where the data ends after {cut:,} rows, {where} gives something else"
                if cut == self._rows and self._whole:
                    words = f"the same rows from another file give something else at {where}"
                fix = (
                    "use nothing but `data` and `history`: live there is no file, and nothing later"
                )
                return Finding(LOOK_AHEAD, Status.FAILED, words, where, fix)
        ends = ", ".join(f"{cut:,}" for cut, _ in parts[:-1])
        return Finding(
            LOOK_AHEAD, Status.PASSED, f"nothing changes where the data ends after {ends} rows"
        )

    def _warm_up(self, full: Ran, shifted: Ran, start: int) -> Finding:
        if self._order.subject.kind is not Kind.STRATEGY:
            return Finding(WARM_UP, Status.SKIPPED, "only a strategy's signals are compared")
        skipped = self._sample.counts(start)
        counts = self._sample.counts(self._rows)
        mine = [one for one in self._made(full, counts) if one.number > skipped.get(one.symbol, 0)]
        theirs = within(signals(shifted.folder / SIGNALS, skipped), counts, closed=self._bars)
        return warm_up(mine, theirs, skipped, self._sample, self._order.history)

    def _difference(self, one: Ran, other: Ran, stop: int) -> tuple[str, int] | None:
        """Return the first tick, of the first rows, at which two runs do not agree."""
        counts = self._sample.counts(stop)
        match self._order.subject.kind:
            case Kind.INDICATOR:
                row = first_line(one.folder / VALUES, other.folder / VALUES, stop)
                if row is None:
                    return None
                symbol = self._sample.ticks[row].symbol
                return symbol, self._sample.counts(row + 1)[symbol]
            case Kind.EXECUTOR:
                least = min(one.answer.fills, other.answer.fills)
                if first_line(one.folder / FILLS, other.folder / FILLS, least) is None:
                    return None
                return self._sample.ticks[0].symbol, 1
            case _:
                return first_difference(self._made(one, counts), self._made(other, counts))

    def _made(self, ran: Ran, counts: Mapping[str, int]) -> list[Made]:
        return within(signals(ran.folder / SIGNALS), counts, closed=self._bars)

    def _words(self, ran: Ran) -> str:
        match self._order.subject.kind:
            case Kind.INDICATOR:
                return f"{ran.answer.ticks:,} values"
            case Kind.EXECUTOR:
                return f"{ran.answer.fills:,} fills"
            case _:
                return f"{ran.answer.signals:,} signals"


def warm_up(
    mine: Sequence[Made],
    theirs: Sequence[Made],
    skipped: Mapping[str, int],
    sample: Sample,
    history: int,
) -> Finding:
    """Say from which tick on signals do not depend on where the data began.

    A start shows a strategy the last `history` ticks of each symbol: as many may differ.
    """
    last = last_difference(mine, theirs)
    if not mine and not theirs:
        return Finding(WARM_UP, Status.SKIPPED, "there are no signals to compare")
    longest = max((number - skipped.get(symbol, 0) for symbol, number in last.items()), default=0)
    if longest <= history:
        words = f"begun later, it signals the same from its tick {longest + 1:,} on"
        return Finding(WARM_UP, Status.PASSED, words)
    symbol = max(last, key=lambda one: last[one] - skipped.get(one, 0))
    where, final = sample.at(symbol, last[symbol] + 1), sample.at(symbol, last[symbol])
    total = sample.counts(len(sample.ticks))[symbol]
    begun = f"begun {sum(skipped.values()):,} rows later, it"
    if last[symbol] > total - (total - skipped.get(symbol, 0)) // 10:
        words = f"{begun} signals otherwise up to the end: last at {final}"
        where = final
    else:
        words = f"{begun} signals the same only from {where} on, its {longest + 1:,}th"
    return Finding(
        WARM_UP, Status.WARNED, words, where,
        f"a restart shows it {history:,} ticks: keep what is older in snapshot(), or ask for more history",
    )  # fmt: skip


def hostile(answer: Answer) -> Finding:
    """Say how a plugin took hostile data."""
    if answer.refused:
        return Finding(HOSTILE, Status.FAILED, answer.refused, fix=answer.fix)
    fallen = [case for case in answer.cases if case.raised is not None]
    for case in fallen:
        others = f" (and {len(fallen) - 1} more cases)" if len(fallen) > 1 else ""
        raised = case.raised
        assert raised is not None  # noqa: S101 - chosen so
        return Finding(
            HOSTILE, Status.FAILED, f"{case.name}: {raised}{others}", raised.at,
            "live, that ends the plugin: expect it",
        )  # fmt: skip
    odd = [case for case in answer.cases if case.border and case.name not in UNSIZED]
    if odd:
        words = (
            f"{odd[0].name}: {odd[0].border} results were refused, the last: {odd[0].last_refusal}"
        )
        return Finding(HOSTILE, Status.WARNED, words, fix="return None where nothing can be said")
    return Finding(HOSTILE, Status.PASSED, f"{len(answer.cases)} kinds of bad data did not end it")
