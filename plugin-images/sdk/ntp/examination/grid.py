"""Every variant of a config tried on the same data, and what the best of them is worth.

The time of the data is cut into `PARTS` of equal length, and each variant's equity is known at each cut. Its
return over a part is what everything here is made of. The best is chosen by the Sharpe ratio of the first
parts; the last ones, held out, are looked at for that one alone. Walk-forward: at each step the best so far
is chosen, and its next parts count; each variant has run through, so a change of variant costs nothing here.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import prod
from typing import Any

from msgspec.structs import replace

from ntp.contract.problem import Problem
from ntp.examination import deflated
from ntp.examination.author import config_problems
from ntp.examination.confined import Chamber, Told
from ntp.examination.examine import Subjects, data_of, ready
from ntp.examination.fault import ConfinedError
from ntp.examination.order import Answer, Order
from ntp.examination.ranges import parted, words
from ntp.examination.wish import Wish
from ntp.package.author import AuthorError

PARTS = 100
FIRST_STEP, STEP = 40, 10
"""Parts that walk-forward begins with, and that each step adds."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One variant. `returns`: over each part; empty, and `why`: it was not run to the end."""

    variant: Mapping[str, Any]
    returns: Sequence[float] = ()
    fills: int = 0
    why: str = ""

    def over(self, start: int, stop: int) -> float:
        """Return the return over parts from `start` on, below `stop`."""
        return prod(1 + each for each in self.returns[start:stop]) - 1

    def sharpe(self, start: int, stop: int) -> float | None:
        """Return the Sharpe ratio of a part's return, not annualised; None: it has none."""
        return deflated.sharpe(self.returns[start:stop])


@dataclass(frozen=True, slots=True)
class Step:
    """One step of walk-forward: the best of parts below `start`, and its return over the next ones."""

    start: int
    stop: int
    variant: Mapping[str, Any]
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found.

    Attributes:
        first, held_out, last: event times: where the data begins, where what is held out does, where it ends.
        train: parts that the best is chosen by.
        tried: all variants, in the order of the grid.
        best: None: no variant has a Sharpe ratio.
        chance: the Sharpe ratio that the best of so many has by chance alone.
        probability: that the best one's is above that, by the deflated Sharpe ratio.
    """

    first: datetime
    held_out: datetime
    last: datetime
    train: int
    tried: Sequence[Tried]
    best: Tried | None
    chance: float | None
    probability: float | None
    steps: Sequence[Step]

    @property
    def ranked(self) -> Sequence[Tried]:
        """All that have a Sharpe ratio, the best first."""
        return _ranked(self.tried, 0, self.train)


def search(
    wish: Wish, variants: Sequence[Mapping[str, Any]], told: Told, *, held_out: float = 0.3
) -> Searched:
    """Try each variant in a process of its own, as many at once as there are cores.

    Args:
        wish: what to test; its checks are left out.
        variants: of its config.
        told: is told how far it is.
        held_out: share of the time that the best is not chosen by.

    Raises:
        AuthorError, LayoutError: it cannot be tested; with everything that is wrong.
        ConfinedError: the first variant gave no answer, or no sandbox works.
    """
    unknown = parted(variants[0])[1].keys() - {each.name for each in wish.indicators}
    if unknown:
        raise AuthorError(*map(_unnamed, sorted(unknown)))
    with Chamber(wish.limits, told) as chamber:
        # The grid may give what a config has to have.
        subjects = ready(wish.varied(variants[0]), chamber, told)
        _check(subjects, wish, variants)
        order = replace(subjects.order, data=data_of(wish, subjects.target))
        try:
            first, last = _span(chamber, order, subjects, variants)
            step = (last - first) / PARTS
            train = PARTS - round(held_out * PARTS)
            marked = replace(order, marks=[first + at * step for at in range(1, PARTS)])
            tried = list(_each(chamber, marked, subjects, variants, told))
        except BaseException:
            chamber.stop()
            raise
    return _found(first, last, train, tried)


def _unnamed(indicator: str) -> Problem:
    said = f"a range is of the indicator '{indicator}', which is not named"
    return Problem("--grid", 0, 0, said, f"--indicator {indicator}=PATH")


def _check(subjects: Subjects, wish: Wish, variants: Sequence[Mapping[str, Any]]) -> None:
    found: dict[Problem, None] = {}
    for variant in variants:
        wished = wish.varied(variant)
        found |= dict.fromkeys(config_problems(subjects.target.manifest, wished.config))
        for each in wished.indicators:
            manifest = subjects.indicators[each.name].manifest
            found |= dict.fromkeys(config_problems(manifest, each.config, instance=each.name))
    if found:
        raise AuthorError(*islice(found, 20))


def _span(
    chamber: Chamber, order: Order, subjects: Subjects, variants: Sequence[Mapping[str, Any]]
) -> tuple[datetime, datetime]:
    """Run the first variant for the times of the data; it says whether the plugin runs at all."""
    with chamber.run(_with(order, variants[0]), subjects.codes, shown=True) as (answer, _):
        if answer.first is None or answer.last is None:
            why = answer.refused or (str(answer.raised) if answer.raised else "no tick was read")
            raise ConfinedError(f"{words(variants[0])}: {why}", answer.fix)
        return answer.first, answer.last


def _each(
    chamber: Chamber,
    order: Order,
    subjects: Subjects,
    variants: Sequence[Mapping[str, Any]],
    told: Told,
) -> Iterator[Tried]:
    """Yield what became of each, in their order; few wait at a time."""
    cores = os.cpu_count() or 1
    done: dict[int, Tried] = {}
    waiting: dict[Future[Tried], int] = {}
    left = iter(enumerate(variants))
    following = 0
    with ThreadPoolExecutor(cores) as pool:
        try:
            while following < len(variants):
                for at, variant in islice(left, 2 * cores - len(waiting)):
                    waiting[pool.submit(_try, chamber, order, subjects, variant)] = at
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    done[waiting.pop(future)] = future.result()
                    told(f"{following + len(done):,} of {len(variants):,} variants")
                while following in done:
                    yield done.pop(following)
                    following += 1
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            chamber.stop()
            raise


def _try(chamber: Chamber, order: Order, subjects: Subjects, variant: Mapping[str, Any]) -> Tried:
    try:
        with chamber.run(_with(order, variant), subjects.codes) as (answer, _):
            return _tried(variant, answer, float(order.trading.capital))
    except ConfinedError as error:
        if not error.plugins:
            raise
        return Tried(variant, why=str(error).partition("\n")[0])


def _tried(variant: Mapping[str, Any], answer: Answer, capital: float) -> Tried:
    if answer.refused or answer.raised is not None:
        return Tried(variant, why=answer.refused or str(answer.raised))
    returns, before = [], capital
    for equity in answer.equities:
        returns.append(equity / before - 1 if before > 0 else 0.0)
        before = equity
    return Tried(variant, returns, answer.fills)


def _with(order: Order, variant: Mapping[str, Any]) -> Order:
    own, theirs = parted(variant)
    config = {**order.subject.config, **own}
    indicators = [
        replace(each, config={**each.config, **theirs.get(each.instance, {})})
        for each in order.indicators
    ]
    return replace(order, subject=replace(order.subject, config=config), indicators=indicators)


def _found(first: datetime, last: datetime, train: int, tried: Sequence[Tried]) -> Searched:
    ranked = _ranked(tried, 0, train)
    ratios = [ratio for one in ranked if (ratio := one.sharpe(0, train)) is not None]
    chance = deflated.expected_best(ratios, len(tried))
    likely = None
    if ranked and chance is not None:
        returns = ranked[0].returns[:train]
        likely = deflated.probability(ratios[0], chance, train, *deflated.shape(returns))
    return Searched(
        first=first,
        held_out=first + (last - first) / PARTS * train,
        last=last,
        train=train,
        tried=tried,
        best=ranked[0] if ranked else None,
        chance=chance,
        probability=likely,
        steps=list(_walk(tried)),
    )


def _walk(tried: Sequence[Tried]) -> Iterator[Step]:
    for start in range(FIRST_STEP, PARTS, STEP):
        ranked = _ranked(tried, 0, start)
        if ranked:
            best, stop = ranked[0], min(start + STEP, PARTS)
            yield Step(start, stop, best.variant, best.over(0, start), best.over(start, stop))


def _ranked(tried: Sequence[Tried], start: int, stop: int) -> Sequence[Tried]:
    rated = [(ratio, one) for one in tried if (ratio := one.sharpe(start, stop)) is not None]
    return [one for _, one in sorted(rated, key=lambda pair: -pair[0])]
