"""What `ntpctl replay` asks of the process that replays, and what that answers.

The process runs the code of plugins, in a sandbox: its answer is a claim, to be read and shown, no more.
"""

from datetime import datetime
from typing import Any

import msgspec

from ntp.contract.launch import LaunchFile


class ReplayOrder(msgspec.Struct, frozen=True):
    """Paths are those that the process sees.

    Attributes:
        strategy, executor, indicators: as they are launched; `code` is each one's own folder.
        captured: files of batches as their sources sent them, one a line, in the order of the bus.
        data: recordings (CSV) instead of that.
        ledger: the executor's for this strategy, to go on from and to compare with; None: an empty
            one is begun, and nothing is compared.
        folder: writable, for the ledger that is made.
        begin, end: event times, of what is fed where nothing is compared; None: all there is.
        progress: file that says how far it is: `done of all`.
    """

    strategy: LaunchFile
    executor: LaunchFile
    indicators: list[LaunchFile]
    captured: list[str]
    data: list[str]
    ledger: str | None
    folder: str
    progress: str
    begin: datetime | None = None
    end: datetime | None = None


class ReplayedRow(msgspec.Struct, frozen=True):
    """A row that differs; None: it is not there. Values by column."""

    table: str
    row: str
    live: dict[str, Any] | None
    replayed: dict[str, Any] | None


class ReplayAnswer(msgspec.Struct, frozen=True):
    """Attributes:
    refused: why nothing was replayed, in words, and `fix` what to do; empty: it was.
    ticks, signals, fills: that were replayed.
    rows: of the live ledger that were made again and compared.
    begins: why it does not begin where the ledger does; empty: it does.
    differing: how many rows differ, by table; `differences`: the first of them.
    missing: ticks that were taken live, of which nothing is captured.
    unmade: signals that were taken live and not made again.
    extras: signals that were made and not taken live; `extra`: the first ids.
    caveats: why it may differ although nothing is wrong, in words.
    report: the executor's figures at the end.
    """

    refused: str = ""
    fix: str = ""
    ticks: int = 0
    signals: int = 0
    fills: int = 0
    rows: int = 0
    begins: str = ""
    differing: dict[str, int] = {}
    differences: list[ReplayedRow] = []
    missing: int = 0
    unmade: int = 0
    extras: int = 0
    extra: list[str] = []
    caveats: list[str] = []
    report: dict[str, Any] = {}
