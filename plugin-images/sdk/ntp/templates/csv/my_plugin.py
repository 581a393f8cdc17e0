"""Play a CSV file of prices: timestamp, symbol, price, volume, bid, ask."""

import csv
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, convert

from ntp import DataSourcePlugin, MarketData

FOLDER = Path(__file__).parent


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry's `config` may say; config_schema in plugin.yaml says the same to who writes one."""

    file: Annotated[str, Meta(min_length=1)] = "sample_data.csv"
    symbols: list[str] = []


class MyPlugin(DataSourcePlugin):
    """Plays the rows of a CSV file, as fast as they are taken.

    The file lies in the entry's storage or beside this module: a sandboxed plugin sees nothing else.

    Examples:
        >>> from ntp import PluginTester
        >>> result = PluginTester(MyPlugin, {"symbols": ["BTCUSDT"]}).run(limit=2)
        >>> [tick.symbol for tick in result.data]
        ['BTCUSDT', 'BTCUSDT']
    """

    finite = True

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.settings = convert(config, Config)
        self._wanted: set[str] = set()
        self._bad_rows = 0
        self._last_bad = ""

    def validate_config(self) -> bool:
        self._path()
        return True

    async def subscribe(self, symbols: list[str]) -> bool:
        self._wanted |= set(symbols)
        return True

    async def unsubscribe(self, symbols: list[str]) -> bool:
        self._wanted -= set(symbols)
        return True

    async def stream(self) -> AsyncGenerator[MarketData, None]:
        every = not self.settings.symbols
        for tick in self._rows():
            if every or tick.symbol in self._wanted:
                yield tick

    def report(self) -> dict[str, Any]:
        return {"bad_rows": self._bad_rows, "last_bad": self._last_bad}

    def _rows(self) -> Iterator[MarketData]:
        """Yield the rows; one that cannot be read is passed over, counted and shown in `status`."""
        path = self._path()
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            for row in reader:
                try:
                    yield self.transform(row)
                except (TypeError, ValueError) as error:
                    self._bad_rows += 1
                    self._last_bad = f"{path.name}:{reader.line_num}: {error}"

    def transform(self, raw: dict[str, str]) -> MarketData:
        """Make a tick of a row. Your file has other columns? Change their names here."""
        missing = [name for name in ("timestamp", "symbol", "price") if not raw.get(name)]
        if missing:
            raise ValueError(f"no {', '.join(missing)}")
        at = datetime.fromisoformat(raw["timestamp"])
        bid, ask = raw.get("bid"), raw.get("ask")
        return MarketData(
            timestamp=at if at.tzinfo else at.replace(tzinfo=UTC),
            symbol=raw["symbol"],
            price=float(raw["price"]),
            volume=float(raw.get("volume") or 0.0),
            bid=float(bid) if bid else None,
            ask=float(ask) if ask else None,
        )

    def _path(self) -> Path:
        """Return where the file is; ValueError where it is not, or would lie elsewhere."""
        for folder in filter(None, (self.storage, FOLDER)):
            path = (folder / self.settings.file).resolve()
            if path.is_relative_to(folder.resolve()) and path.is_file():
                return path
        raise ValueError(
            f"file {self.settings.file!r} was not found in the entry's storage or the plugin's folder"
        )
