"""Faults on command: `NAME[=VALUE][@AGE][/once]`, and which of them are in force.

AGE is counted from the opening of each connection, so that a client that comes back meets the
fault again; `/once` spends it on the first connection that it strikes.
"""

import difflib
import re
from dataclasses import dataclass, field
from typing import Literal

from ntp import duration

Value = Literal["none", "seconds", "share", "count", "code"]

CLOSE_CODES = frozenset({*range(1000, 1004), *range(1006, 1015), *range(3000, 5000)})


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault: what its value means, its default, and whether it lasts (or strikes once)."""

    value: Value
    default: float | None
    lasts: bool
    protocol: Literal["both", "binance", "polygon"]
    words: str


KINDS = {
    "stall": Kind("seconds", float("inf"), False, "both", "send no data, keep the socket open and answer pings"),
    "close": Kind("code", 1006, False, "both", "close with a code; 1006 cuts without a close frame"),
    "duplicate": Kind("share", None, True, "both", "send this share of the data frames twice"),
    "reorder": Kind("share", None, True, "both", "swap this share of the data frames with the next one"),
    "gap": Kind("count", 1, False, "binance", "leave out so many depth updates: a hole in U/u"),
    "half-json": Kind("none", None, False, "both", "cut the next data frame's JSON in the middle"),
    "half-frame": Kind("none", None, False, "both", "end the connection in the middle of a frame"),
    "clock-skew": Kind("seconds", 1.25, True, "both", "let the exchange's clock run ahead (negative: behind)"),
    "burst": Kind("count", 857, False, "both", "play so many frames within one second"),
    "server-shutdown": Kind("seconds", 1.0, False, "binance", "announce serverShutdown, close 1001 that much later"),
    "session-end": Kind("none", None, False, "binance", "end the connection as after 24 h"),
    "auth-failed": Kind("none", None, True, "polygon", "refuse every key"),
    "auth-timeout": Kind("none", None, True, "polygon", "answer as if no auth had come"),
    "max-connections": Kind("none", None, True, "polygon", "refuse after auth_success and the subscription"),
    "not-authorized": Kind("none", None, True, "polygon", "refuse every subscription"),
    "slow-consumer": Kind("none", None, False, "polygon", "cut the client as one that reads too slowly"),
    "force-disconnect": Kind("none", None, False, "polygon", "cut the client as an operator does"),
}  # fmt: skip

_FORM = re.compile(r"(?P<name>[a-z-]+)(?:=(?P<value>[^@/]+))?(?:@(?P<age>[^/]+))?(?P<once>/once)?")


class FaultError(ValueError):
    """Text that is no fault; says what was found and what to write."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`value` in the kind's own unit (seconds, share, count, code); `after_s` since the opening."""

    name: str
    value: float | None = None
    after_s: float | None = None
    once: bool = False

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        value = "" if self.value in (None, float("inf")) else f"={self.value:g}"
        age = "" if self.after_s is None else f"@{self.after_s:g}s"
        return f"{self.name}{value}{age}{'/once' if self.once else ''}"


def parse(text: str) -> Fault:
    """Read `close=1006@5s`, `stall@10s/once`, `duplicate=0.1`."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise FaultError(
            f"fault was {text!r}; write NAME[=VALUE][@AGE][/once], such as close=1006@5s"
        )
    name = found["name"]
    if name not in KINDS:
        near = difflib.get_close_matches(name, KINDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(KINDS)}"
        raise FaultError(f"unknown fault {name!r}; {hint}")
    kind = KINDS[name]
    value = kind.default if found["value"] is None else _value(name, kind.value, found["value"])
    if value is None and kind.value != "none":
        raise FaultError(f"fault {name!r} needs a value, such as {name}=0.1")
    after = None if found["age"] is None else _seconds(name, found["age"])
    if after is not None and after < 0:
        raise FaultError(f"age of {name!r} was {found['age']!r}; write one of 0s or more")
    return Fault(name, value, after, found["once"] is not None)


def _value(name: str, meaning: Value, text: str) -> float:
    match meaning:
        case "seconds":
            return _seconds(name, text)
        case "none":
            raise FaultError(f"fault {name!r} takes no value; write it alone: {name}")
        case "share" | "count" | "code":
            try:
                number = float(text)
            except ValueError:
                number = -1.0
            if meaning == "share" and not 0 <= number <= 1:
                raise FaultError(f"value of {name!r} was {text!r}; write a share from 0 to 1")
            if meaning == "count" and not (number >= 1 and number.is_integer()):
                raise FaultError(f"value of {name!r} was {text!r}; write a whole number from 1")
            if meaning == "code" and number not in CLOSE_CODES:
                raise FaultError(
                    f"close code was {text!r}; write 1000, 1001, 1006, 1008 or another of RFC 6455"
                )
            return number


def _seconds(name: str, text: str) -> float:
    try:
        return duration.seconds(text)
    except ValueError as error:
        raise FaultError(f"time of {name!r} was {text!r}; {error}") from None


@dataclass(slots=True)
class Board:
    """The faults in force; shared by all connections."""

    standing: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> bool:
        """Keep a fault. False: it has no age and does not last, so it strikes now and is not kept."""
        if fault.after_s is None and not fault.kind.lasts:
            return False
        if fault.kind.lasts:
            self.standing = [kept for kept in self.standing if kept.name != fault.name]
        self.standing.append(fault)
        return True

    def clear(self) -> None:
        self.standing.clear()

    def lasting(self, name: str, age_s: float) -> float | None:
        """The value of a lasting fault for a connection of this age; None where it is not in force."""
        for fault in self.standing:
            if fault.name == name and age_s >= (fault.after_s or 0.0):
                return 1.0 if fault.value is None else fault.value
        return None

    def spend(self, fault: Fault) -> None:
        """Forget a fault that was to strike once."""
        if fault.once and fault in self.standing:
            self.standing.remove(fault)


@dataclass(slots=True)
class Strikes:
    """Which faults have yet to strike one connection."""

    board: Board
    protocol: Literal["binance", "polygon"]
    _struck: list[Fault] = field(default_factory=list)

    def due(self, age_s: float) -> list[Fault]:
        """Take what is due at this age, oldest first."""
        due = sorted(
            (fault for fault in self._open() if (fault.after_s or 0.0) <= age_s),
            key=lambda fault: fault.after_s or 0.0,
        )
        for fault in due:
            self._struck.append(fault)
            self.board.spend(fault)
        return due

    def next_s(self) -> float | None:
        """The age of the next strike."""
        return min((fault.after_s or 0.0 for fault in self._open()), default=None)

    def _open(self) -> list[Fault]:
        return [
            fault
            for fault in self.board.standing
            if not fault.kind.lasts
            and fault.kind.protocol in ("both", self.protocol)
            and not any(fault is struck for struck in self._struck)
        ]
