"""Replay recorded ticks from a CSV file, as fast as possible or at the pace at which they came."""

import asyncio
import csv
import gzip
import io
import logging
import re
import zlib
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TextIO

from msgspec.structs import replace

from ntp import DataSourcePlugin, MarketData, PluginMetadata

DEFAULT_FILE = "recording.csv.gz"
REQUIRED = ("timestamp", "symbol", "price")
OPTIONAL = ("volume", "bid", "ask")

_BLOCK = 256
"""Rows between two moments in which others of this process may run."""
_TOLD_BAD_ROWS = 10

log = logging.getLogger(__name__)


class ReplayData(DataSourcePlugin):
    """Replays recorded ticks from a CSV file; brings a recording of its own."""

    finite: ClassVar[bool] = True

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._wanted: set[str] | None = None
        """None: every symbol of the file."""
        self._found: set[str] = set()
        self._after = (0, 0)
        self._rows = 0
        self._bad_rows = 0
        self._last_bad = ""
        self._pass = 0

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(
            name="replay_data",
            version="1.0.0",
            author="the ntp project",
            description=self.__doc__ or "",
        )

    def validate_config(self) -> bool:
        speed, limit = self.config.get("speed", 0), self.config.get("limit")
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 <= speed < 1e9:
            raise ValueError(f"speed was {speed!r}; give 0 (as fast as possible) or more")
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ValueError(f"limit was {limit!r}; give a whole number from 1")
        if type(self.config.get("loop", False)) is not bool:
            raise ValueError(f"loop was {self.config['loop']!r}; give true or false")
        self._path()
        return True

    async def connect(self) -> bool:
        """Look whether the file is there and has the columns.

        Raises:
            ValueError: it is not, or has not; says what to do.
        """
        path = self._path()
        with _opened(path) as text:
            _columns(path, csv.reader(text))
        return True

    async def subscribe(self, symbols: list[str]) -> bool:
        if symbols:
            self._wanted = (self._wanted or set()) | set(symbols)
        return True

    async def unsubscribe(self, symbols: list[str]) -> bool:
        if self._wanted is not None:
            self._wanted -= set(symbols)
        return True

    def resume(self, position: str) -> None:
        """Go on after the row with this id; an id of another file begins at the first row."""
        match = re.fullmatch(rf"{re.escape(self._id_prefix())}(?:(\d+)/)?(\d+)", position)
        if match is not None:
            self._after = (int(match[1] or 0), int(match[2]))

    async def stream(self) -> AsyncGenerator[MarketData, None]:
        """Yield the wanted rows in the order of the file.

        Raises:
            ValueError: not one row of the file could be read.
        """
        speed, limit = float(self.config.get("speed", 0)), self.config.get("limit")
        clock = asyncio.get_running_loop().time
        prefix = self._id_prefix()
        began: tuple[float, datetime] | None = None
        taken = 0
        for count, (line, data) in enumerate(self._passes()):
            if count % _BLOCK == _BLOCK - 1:
                await asyncio.sleep(0)
            self._found.add(data.symbol)
            if not self._wants(data.symbol):
                continue
            if (self._pass, line) > self._after:
                if speed:
                    began = (clock(), data.timestamp) if began is None else began
                    due = began[0] + (data.timestamp - began[1]).total_seconds() / speed
                    if (early := due - clock()) > 0:
                        await asyncio.sleep(early)
                        if not self._wants(data.symbol):  # unsubscribed while it waited
                            continue
                self._rows += 1
                row = f"{self._pass}/{line}" if self._pass else str(line)
                yield replace(data, id=prefix + row)
            taken += 1
            if taken == limit:
                return

    def _wants(self, symbol: str) -> bool:
        return self._wanted is None or symbol in self._wanted

    def report(self) -> dict[str, Any]:
        return {
            "rows": self._rows,
            "bad_rows": self._bad_rows,
            "last_bad_row": self._last_bad,
            "passes": self._pass,
            "absent_symbols": self._absent(),
        }

    def _passes(self) -> Iterator[tuple[int, MarketData]]:
        """Yield every row of every pass, with times that go on from pass to pass."""
        path = self._path()
        shift = timedelta(0)
        while True:
            first = last = None
            for line, data in self._read(path):
                last = data.timestamp
                first = last if first is None else first
                yield line, replace(data, timestamp=last + shift) if shift else data
            if first is None or last is None:
                raise ValueError(
                    f"{path.name} has no usable row; {self._last_bad or 'it is empty'}"
                )
            self._pass += 1
            if absent := self._absent():
                log.warning("replay.absent symbols=%s", absent)
            if not self.config.get("loop", False):
                return
            # A whole number of seconds, so that times keep their fractions.
            shift += timedelta(seconds=(last - first) // timedelta(seconds=1) + 2)

    def _absent(self) -> list[str]:
        """Return what was wanted and is not in the file, once that is known."""
        return sorted((self._wanted or set()) - self._found) if self._pass else []

    def _read(self, path: Path) -> Iterator[tuple[int, MarketData]]:
        """Yield each good row with its line number; report each bad one and go on."""
        newest: dict[str, datetime] = {}
        with _opened(path) as text:
            reader = csv.reader(text)
            columns = _columns(path, reader)
            while True:
                try:
                    cells = next(reader)
                    if not cells:
                        continue
                    data = _tick(cells, columns)
                except StopIteration:
                    return
                except (EOFError, OSError, zlib.error) as error:
                    self._report_bad(path, reader.line_num + 1, f"the file ends here: {error}")
                    return
                except (ValueError, IndexError, OverflowError, csv.Error) as error:
                    self._report_bad(path, reader.line_num, str(error))
                    continue
                if data.timestamp < newest.get(data.symbol, data.timestamp):
                    why = "older than the row of this symbol above it"
                    self._report_bad(path, reader.line_num, why)
                    continue
                newest[data.symbol] = data.timestamp
                yield reader.line_num, data

    def _report_bad(self, path: Path, line: int, why: str) -> None:
        self._bad_rows += 1
        self._last_bad = f"{path.name}:{line}: {why}"
        if self._bad_rows <= _TOLD_BAD_ROWS:
            log.warning("replay.bad_row row=%s", self._last_bad)

    def _path(self) -> Path:
        """Return where the file is.

        Raises:
            ValueError: outside of storage and plugin folder, or not there.
        """
        name = self.config.get("file", DEFAULT_FILE)
        if not isinstance(name, str) or not name.endswith((".csv", ".csv.gz")):
            raise ValueError(f"file was {name!r}; name a .csv or .csv.gz file")
        roots = [Path(__file__).parent]
        if self.storage is not None:
            roots.insert(0, self.storage)
        for root in roots:
            path = (root / name).resolve()
            if not path.is_relative_to(root.resolve()):
                raise ValueError(
                    f"file was {name!r}, which leads out of its folder; a sandboxed plugin sees its"
                    " own folder and its storage only: put the file there and name it relative to it"
                )
            if path.is_file():
                return path
        raise ValueError(
            f"file {name!r} was not found in the entry's storage or the plugin's folder; give the"
            " entry a 'storage' and copy the file into it"
        )

    def _id_prefix(self) -> str:
        """Return what comes before the row's number: ids of two files or instances never meet."""
        name = str(self.config.get("file", DEFAULT_FILE))
        instance = self.instance or "replay_data"
        return f"{instance}:" if name == DEFAULT_FILE else f"{instance}:{name}:"


def _opened(path: Path) -> TextIO:
    # A cell that is no UTF-8 is a bad row, not the end of the file.
    if path.suffix == ".gz":
        packed = gzip.open(path, "rb")  # noqa: SIM115 - the wrapper closes it
        return io.TextIOWrapper(packed, encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


class _Columns(NamedTuple):
    """Where in a row the cells are; -1 is an empty cell that `_tick` puts at its end."""

    timestamp: int
    symbol: int
    price: int
    volume: int
    bid: int
    ask: int
    width: int


def _columns(path: Path, reader: Iterator[list[str]]) -> _Columns:
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
    except (EOFError, OSError, zlib.error, csv.Error) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ValueError(
            f"{path.name}:1: the header has no {', '.join(missing)};"
            f" write {','.join(REQUIRED + OPTIONAL)} (the last three may be left out)"
        )
    names = REQUIRED + OPTIONAL
    places = {name: header.index(name) if name in header else -1 for name in names}
    return _Columns(**places, width=len(header))


def _tick(cells: list[str], columns: _Columns) -> MarketData:
    """Read one row; raises ValueError for what is no tick."""
    if len(cells) != columns.width:
        raise ValueError(f"{len(cells)} cells where the header has {columns.width}")
    cells.append("")
    symbol = cells[columns.symbol]
    if not symbol:
        raise ValueError("no symbol")
    volume, bid, ask = cells[columns.volume], cells[columns.bid], cells[columns.ask]
    data = MarketData(
        _moment(cells[columns.timestamp]),
        symbol,
        float(cells[columns.price]),
        float(volume) if volume else 0.0,
        float(bid) if bid else None,
        float(ask) if ask else None,
    )
    if not (isfinite(data.price) and isfinite(data.volume) and data.volume >= 0):
        raise ValueError(f"price {data.price}, volume {data.volume}")
    if not (isfinite(data.bid or 0.0) and isfinite(data.ask or 0.0)):
        raise ValueError(f"bid {data.bid}, ask {data.ask}")
    return data


def _moment(text: str) -> datetime:
    """Read ISO 8601; without an offset it is UTC, as everywhere in a CSV file."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    return time if time.tzinfo is UTC else time.astimezone(UTC)
