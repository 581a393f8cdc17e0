"""Who is told what, once: at most one open alert a plugin and reason, and not too many at a time. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from orchestrator.decide.findings import NO_PLUGIN, Finding, Known

BURST = 10
"""Alerts at once after a quiet time."""
REFILL = timedelta(seconds=30)
"""For one more."""
NAMED = 10
"""Plugins that a message of suppressed alerts names."""
LONGEST = 500
"""Characters of a message."""


class Status(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"
    """Alerts were left out, and nothing came since to say it with."""
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. `id` is its own, `alert` that of the alert, which firing and resolved share."""

    id: str
    alert: str
    status: Status
    project: str
    at: datetime
    message: str
    plugin: str = ""
    kind: str = ""
    reason: str = ""
    state: str = ""
    since: datetime | None = None
    """Since when it was so."""
    suppressed: int = 0
    """Alerts before this one that were not sent, for there were too many."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens; `at`: as of when."""

    tokens: float = BURST
    at: datetime | None = None

    def filled(self, now: datetime) -> Self:
        passed = max(now - self.at, timedelta(0)) if self.at is not None else timedelta(0)
        return replace(self, tokens=min(self.tokens + passed / REFILL, BURST), at=now)


@dataclass(frozen=True, slots=True)
class Open:
    """`told` False: it was suppressed, so its end is not told either."""

    finding: Finding
    since: datetime
    told: bool
    number: int = 0
    """Counts alerts: two that begin at the same moment, by a clock that was set back, have two ids."""


@dataclass(frozen=True, slots=True)
class Book:
    """All that is kept between two looks, over restarts too."""

    known: Known = field(default_factory=Known)
    open: Mapping[str, Open] = field(default_factory=dict)
    """`plugin/reason` -> the alert."""
    waiting: Mapping[str, datetime] = field(default_factory=dict)
    """`plugin/reason` -> since when it is so, of what was not so for long enough."""
    bucket: Bucket = field(default_factory=Bucket)
    held: int = 0
    """Suppressed, and not said yet."""
    suppressed: int = 0
    """In all."""
    opened: int = 0
    """In all."""


def key(finding: Finding) -> str:
    return f"{finding.plugin}/{finding.reason}"


def step(
    book: Book,
    findings: Iterable[Finding],
    *,
    wanted: AbstractSet[str],
    project: str,
    now: datetime,
    gone: str = "it is no longer wanted",
) -> tuple[Book, list[Alert]]:
    """Return the book as it is now, and what is to be sent, in order.

    Args:
        book: of the step before; its `known` is the caller's.
        findings: what is wrong now, and what is over.
        wanted: plugins that are wanted; what is open of others is over.
        project: its name.
        now: aware UTC.
        gone: what to say of those that are not wanted.
    """
    telling = _Telling(book, project, now)
    for each in findings:
        if not each.wrong:
            telling.close(key(each), each.message)
        elif key(each) not in telling.open:
            telling.notice(each)
    left = [
        name
        for name, opened in telling.open.items()
        if opened.finding.plugin != NO_PLUGIN and opened.finding.plugin not in wanted
    ]
    for name in left:
        telling.close(name, gone)
    telling.own_up(book.held)
    return telling.book(), telling.sent


class _Telling:
    def __init__(self, book: Book, project: str, now: datetime) -> None:
        self._book = book
        self._project = project
        self._now = now
        self._bucket = book.bucket.filled(now)
        self._held = book.held
        self._suppressed = book.suppressed
        self._opened = book.opened
        self._waiting: dict[str, datetime] = {}
        self.open = dict(book.open)
        self.sent: list[Alert] = []

    def notice(self, finding: Finding) -> None:
        """Open an alert, once it was so for long enough."""
        name, now = key(finding), self._now
        since = min(self._book.waiting.get(name, now), now)
        if now - since < finding.after:
            self._waiting[name] = since
            return
        told = self._take()
        self._opened += 1
        opened = self.open[name] = Open(finding, since, told, self._opened)
        if told:
            self._send(Status.FIRING, opened, finding.message)
        else:
            self._held += 1
            self._suppressed += 1

    def close(self, name: str, message: str) -> None:
        closed = self.open.pop(name, None)
        if closed is not None and closed.told:
            # Not from the bucket: there are never more ends than alerts.
            self._send(Status.RESOLVED, closed, message)

    def own_up(self, held: int) -> None:
        """Say that alerts were left out, where nothing else was sent that says so."""
        if not held or self.sent or not self._take():
            return
        left = [each.finding for each in self.open.values() if not each.told]
        names = list(dict.fromkeys(each.plugin or "the project" for each in left))
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        still = f"; still so of {', '.join(names[:NAMED])}{more}" if names else "; all are over"
        name = f"{self._project}/suppressed/{_stamp(self._now)}"
        self.sent.append(
            Alert(
                id=name,
                alert=name,
                status=Status.SUPPRESSED,
                project=self._project,
                at=self._now,
                message=f"{self._held} alerts were not sent, for there were too many{still}",
                suppressed=self._held,
            )
        )
        self._held = 0

    def book(self) -> Book:
        return replace(
            self._book,
            open=self.open,
            waiting=self._waiting,
            bucket=self._bucket,
            held=self._held,
            suppressed=self._suppressed,
            opened=self._opened,
        )

    def _take(self) -> bool:
        if self._bucket.tokens < 1:
            return False
        self._bucket = replace(self._bucket, tokens=self._bucket.tokens - 1)
        return True

    def _send(self, status: Status, opened: Open, message: str) -> None:
        found = opened.finding
        name = f"{self._project}/{key(found)}/{_stamp(opened.since)}-{opened.number}"
        self.sent.append(
            Alert(
                id=f"{name}/{status}",
                alert=name,
                status=status,
                project=self._project,
                at=self._now,
                message=message if len(message) <= LONGEST else f"{message[: LONGEST - 1]}…",
                plugin=found.plugin,
                kind=found.kind,
                reason=found.reason,
                state=found.state,
                since=opened.since,
                suppressed=self._held,
            )
        )
        self._held = 0


def durable(book: Book) -> Book:
    """Return what of a book has to be written at once when it changes; all else may be a look old."""
    known = replace(book.known, losses={})
    return replace(book, known=known, waiting={}, bucket=Bucket())


def dropped(book: Book, alerts: Sequence[Alert]) -> Book:
    """Return the book after messages were left out for want of room: the next one says so."""
    count = sum(each.suppressed + 1 for each in alerts)
    return replace(book, held=book.held + count, suppressed=book.suppressed + count)


def test(project: str, now: datetime) -> Alert:
    """Return a message that says that it means nothing."""
    name = f"{project}/test/{_stamp(now)}"
    words = "a test of `ntpctl doctor --webhook`: nothing is wrong"
    return Alert(name, name, Status.TEST, project, now, words)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
