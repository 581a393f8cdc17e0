"""The report of `ntp plugin test`, as far as somebody else reads it; docs/json.md has all of it (TESTED).

It may be signed by a stranger, and its figures are what a plugin's process claims: read, never believed.
"""

from typing import Any, Literal

import msgspec

from ntp.contract.names import Kind


class Settings(msgspec.Struct, frozen=True):
    """With what a plugin was run, whoever said so: an option, its manifest, or nobody.

    Attributes:
        bars: their length, such as `5m`; None: it was shown each tick.
        history: ticks or bars that it was given.
        capital: quote currency that it began with, as text.
        risk: limits of its manifest, as an executor would keep them.
        costs: by name of `ntp.engine.fills.Costs`, as text; None: no limit.
        indicators: names under which it found the values of other plugins.
        indicator_configs: what each of them was given, without defaults.
    """

    bars: str | None
    history: int
    capital: str
    short: bool
    pyramid: int
    risk: dict[str, Any]
    costs: dict[str, str | None]
    indicators: list[str]
    indicator_configs: dict[str, dict[str, Any]] = {}


class Subject(msgspec.Struct, frozen=True):
    """What was tested; `config`: what was given, without defaults."""

    name: str
    version: str
    kind: Kind
    config: dict[str, Any]


class File(msgspec.Struct, frozen=True):
    name: str
    sha256: str


class Data(msgspec.Struct, frozen=True):
    """On what. `first`, `last`: event times, ISO 8601 in UTC; `symbols`: with how many ticks each."""

    files: list[File]
    ticks: int
    symbols: dict[str, int]
    first: str | None
    last: str | None
    bad_rows: int


class Figure(msgspec.Struct, frozen=True):
    """`unit`: a word of `ntp.statistics.Unit`; money is text. `value`: None: it has none."""

    name: str
    unit: str
    value: str | int | float | None


class Assessed(msgspec.Struct, frozen=True):
    strategy: str
    figures: dict[str, Figure]


class Check(msgspec.Struct, frozen=True):
    """`status`: passed, warning, failed, not judged."""

    name: str
    passed: bool
    status: str
    words: str
    fix: str = ""


class Run(msgspec.Struct, frozen=True):
    """How it went; `refused`, `raised`: why it ended early, empty or None where it did not."""

    refused: str
    raised: str | None


class Tested(msgspec.Struct, frozen=True):
    """`grid`: what a search found, where the config was chosen by one."""

    version: Literal[1]
    plugin: Subject
    data: Data
    settings: Settings
    strategies: list[Assessed]
    checks: list[Check]
    run: Run
    passed: bool
    grid: dict[str, Any] | None = None


def read(content: bytes) -> Tested:
    """Return a report.

    Raises:
        ValueError: it is none, or was made before reports said with what they were run.
    """
    try:
        return msgspec.json.decode(content, type=Tested)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it is no report of `ntp plugin test`: {error}") from error
