"""What is wrong with the plugins that somebody should be told who looks at no terminal. Pure.

Three answers to each question: it is so, it is over, or (no finding) nothing new is known. One who is
not heard, or cannot be seen, changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ntp.contract.names import Kind
from orchestrator.decide import letters
from orchestrator.decide.memory import NOBODY
from orchestrator.decide.report import Condition, PluginStatus
from orchestrator.decide.state import Record
from orchestrator.decide.status import LOOPING
from orchestrator.decide.words import reason, sentence, span

OWN = frozenset({"Ready", "Reconciling", "Stalled", "DeadLetters"})
"""Conditions that are ours; all others a plugin says of itself."""
WAITED = frozenset({"FeedStale", "NeverHeard"})
"""Said only after a long wait for data."""
MISSED = frozenset({"TradesMissed", "FramesUnread"})
"""A source saw that the exchange sent more than what came, or what it could not read."""
DATED = frozenset({"ClockAhead"})
"""Said of data that comes."""
GRAVE = frozenset(
    {"RuntimeReachable", "BrokerReady", "BusListening", "StoreSound", "HaltsKnown", "StoreWhole"}
)
"""Conditions of the project without which nobody is looked after."""
NO_PLUGIN = ""


class Reason(StrEnum):
    CRASH_LOOP = "CrashLoop"
    GAVE_UP = "GaveUp"
    OOM_KILLED = "OOMKilled"
    STALLED = "Stalled"
    """Any other state in which nothing changes without a person."""
    FEED_SILENT = "FeedSilent"
    DATA_LOST = "DataLost"
    DEAD_LETTERS = "DeadLetters"


@dataclass(frozen=True, slots=True)
class Patience:
    steady: timedelta = timedelta(seconds=60)
    """A life that is ready at this age has left behind what came before it."""
    stalled: timedelta = timedelta(seconds=10)
    feed: timedelta = timedelta(seconds=30)
    """A source that reconnects by then is nobody's business."""
    project: timedelta = timedelta(seconds=30)
    quiet: timedelta = timedelta(minutes=5)
    """Without a further loss of data, one is over."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`reason`: a `Reason`, or the type of a condition of the project, whose `plugin` is empty.

    `wrong` False: it is over, and `message` says by what. `after`: for how long it has to be so.
    """

    plugin: str
    kind: str
    reason: str
    wrong: bool
    message: str
    state: str = ""
    after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Loss:
    """`count` of the life that began at `life`; `at`: when more was lost last, None: not since we look."""

    life: datetime | None
    count: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What was found before, by plugin. `begun` False: nobody ever looked, so the past is no news."""

    begun: bool = False
    ooms: Mapping[str, datetime] = field(default_factory=dict)
    """The last end for memory."""
    losses: Mapping[str, Loss] = field(default_factory=dict)


def look(
    known: Known,
    plugins: Sequence[PluginStatus],
    records: Mapping[str, Record],
    *,
    limits: Mapping[str, int],
    listening: bool,
    now: datetime,
    patience: Patience,
) -> tuple[Known, list[Finding]]:
    """Return what is known from now on, and what is found.

    Args:
        known: of the look before.
        plugins: every plugin that is wanted.
        records: what the loop remembers of them.
        limits: memory of each that is wanted, bytes: a life that just began shows none yet.
        listening: False: the bus is deaf, so what plugins said last is old.
        now: aware UTC.
        patience: how long what has to be so.
    """
    found: list[Finding] = []
    ooms: dict[str, datetime] = {}
    losses: dict[str, Loss] = {}
    for each in plugins:
        name, record = each.name, records.get(each.name, NOBODY)
        steady = _is_steady(each, now, patience)
        loss = _loss(known, each, now) if listening else None
        loss = loss or known.losses.get(name)
        if loss is not None:
            losses[name] = loss
        fresh, last = _oom(record, known.ooms.get(name))
        if last is not None:
            ooms[name] = last
        if each.state == "Unknown":
            continue
        if each.state == "Stopped":
            # What lies there is not over with that.
            ends = [every for every in Reason if every is not Reason.DEAD_LETTERS]
            found += [_over(each, every, "it was stopped by hand") for every in ends]
            continue
        if steady:
            words = f"it has run well for {span(patience.steady)}"
            lives = (Reason.CRASH_LOOP, Reason.GAVE_UP, Reason.OOM_KILLED, Reason.STALLED)
            found += [_over(each, every, words) for every in lives]
        else:
            limit = each.usage.memory_limit or limits.get(name, 0)
            found += _ends(each, record, fresh_oom=fresh, limit=limit, patience=patience)
        found += _letters(each)
        if listening:
            found += _feed(each, patience)
            found += _lost(each, loss, now, patience)
    return Known(begun=True, ooms=ooms, losses=losses), found


def of_project(conditions: Sequence[Condition], patience: Patience) -> list[Finding]:
    """Return what is found of the conditions of the project."""
    return [
        Finding(
            NO_PLUGIN,
            "",
            each.type,
            wrong=not each.status,
            message=f"{each.reason}: {each.message}" if each.message else each.reason,
            state=each.reason,
            after=patience.project,
        )
        for each in conditions
        if each.type in GRAVE
    ]


def _is_steady(each: PluginStatus, now: datetime, patience: Patience) -> bool:
    return each.ready and each.started is not None and now - each.started >= patience.steady


def _ends(
    each: PluginStatus, record: Record, *, fresh_oom: bool, limit: int, patience: Patience
) -> Iterator[Finding]:
    """What its last lives ended by; a life that is young says nothing to the contrary."""
    end = record.last_exit
    told = sentence(end, memory_limit=limit) if end is not None else ""
    if fresh_oom:
        yield _wrong(each, Reason.OOM_KILLED, told)
    looping = record.failures >= LOOPING
    if looping and end is not None:
        count = f"{record.failures} failures in a row"
        yield _wrong(each, Reason.CRASH_LOOP, f"{count}, the last: {reason(end)}: {told}")
    if record.gave_up:
        yield _wrong(each, Reason.GAVE_UP, each.message)
    elif not looping and any(c.type == "Stalled" and c.status for c in each.conditions):
        yield _wrong(each, Reason.STALLED, f"{each.state}: {each.message}", patience.stalled)


def _feed(each: PluginStatus, patience: Patience) -> Iterator[Finding]:
    if each.kind != Kind.DATA_SOURCE:
        return
    wrong = [c for c in _own(each) if c.type not in MISSED | DATED]
    if wrong:
        after = timedelta(0) if any(c.type in WAITED for c in wrong) else patience.feed
        told = "; ".join(f"{c.reason}: {c.message}" for c in wrong)
        yield _wrong(each, Reason.FEED_SILENT, told, after)
    elif each.ready and each.flow is not None and each.flow.sent_per_s > 0:
        yield _over(each, Reason.FEED_SILENT, "data comes again")


def _letters(each: PluginStatus) -> Iterator[Finding]:
    if each.dead_letters:
        yield _wrong(each, Reason.DEAD_LETTERS, letters.told(each.dead_letters, each.name))
    elif each.dead_letters is not None:
        yield _over(each, Reason.DEAD_LETTERS, "none is left")


def _lost(
    each: PluginStatus, loss: Loss | None, now: datetime, patience: Patience
) -> Iterator[Finding]:
    if loss is None or loss.at is None:
        return
    if loss.at >= now:
        missed = [c.message for c in _own(each) if c.type in MISSED]
        told = f"{loss.count} messages did not reach it since it was started"
        yield _wrong(each, Reason.DATA_LOST, "; ".join(missed) or told)
    elif now - loss.at >= patience.quiet:
        yield _over(each, Reason.DATA_LOST, f"nothing was lost for {span(patience.quiet)}")


def _loss(known: Known, each: PluginStatus, now: datetime) -> Loss | None:
    """Return what is lost as of now, and since when; None: it was not heard."""
    if each.flow is None:
        return None
    before = known.losses.get(each.name)
    if before is None and not known.begun:
        return Loss(each.started, each.flow.lost)
    count = before.count if before is not None and before.life == each.started else 0
    more = each.flow.lost > count or any(c.type in MISSED for c in _own(each))
    last = before.at if before is not None else None
    # A clock that was set back must not keep a loss open for as long as it went back.
    at = now if more else None if last is None else min(last, now - timedelta(microseconds=1))
    return Loss(each.started, each.flow.lost, at)


def _oom(record: Record, told: datetime | None) -> tuple[bool, datetime | None]:
    """Return whether the last end was for memory and is news, and which one is known from now on."""
    end = record.last_exit
    if end is None or not end.oom:
        return False, told
    return end.at != told, end.at


def _own(each: PluginStatus) -> list[Condition]:
    """Its own warnings: conditions whose type is their reason, or that are not met."""
    return [
        c for c in each.conditions if c.type not in OWN and (not c.status or c.type == c.reason)
    ]


def _wrong(
    each: PluginStatus, why: Reason, message: str, after: timedelta = timedelta(0)
) -> Finding:
    return Finding(
        each.name, each.kind, why, wrong=True, message=message, state=each.state, after=after
    )


def _over(each: PluginStatus, why: Reason, message: str) -> Finding:
    return Finding(each.name, each.kind, why, wrong=False, message=message, state=each.state)
