"""Klines from trades: one-second candles, merged into every longer interval."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ntp.exchange.stream_name import INTERVALS, KlineName

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_UNIT_MS = {"s": _SECOND, "m": _MINUTE, "h": _HOUR, "d": _DAY}
_ZERO = Decimal(0)
OFFSETS_MS = (0, 8 * _HOUR)
NAMES = tuple(KlineName(interval, offset) for interval in INTERVALS for offset in OFFSETS_MS)


def span(name: KlineName, time_ms: int) -> tuple[int, int]:
    """First and last millisecond (Unix, UTC) of the interval in which `time_ms` lies."""
    local = time_ms + name.offset_ms
    if name.interval == "1M":
        month = datetime.fromtimestamp(local / 1000, UTC).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        after = (month + timedelta(days=32)).replace(day=1)
        first, end = int(month.timestamp() * 1000), int(after.timestamp() * 1000)
    elif name.interval == "1w":
        # The epoch was a Thursday; weeks begin on Monday.
        first = (local + 3 * _DAY) // (7 * _DAY) * 7 * _DAY - 3 * _DAY
        end = first + 7 * _DAY
    else:
        length = int(name.interval[:-1]) * _UNIT_MS[name.interval[-1]]
        first = local // length * length
        end = first + length
    return first - name.offset_ms, end - name.offset_ms - 1


@dataclass(slots=True)
class Candle:
    """Prices in quote currency, volumes in base and quote; `taker_*` is what buyers took."""

    first_ms: int
    last_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    first_trade: int = -1
    last_trade: int = -1
    trades: int = 0
    volume: Decimal = _ZERO
    quote: Decimal = _ZERO
    taker_volume: Decimal = _ZERO
    taker_quote: Decimal = _ZERO

    def merge(self, later: "Candle") -> None:
        if later.trades == 0:
            return
        if self.trades == 0:
            self.open = self.high = self.low = later.open
            self.first_trade = later.first_trade
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close, self.last_trade = later.close, later.last_trade
        self.trades += later.trades
        self.volume += later.volume
        self.quote += later.quote
        self.taker_volume += later.taker_volume
        self.taker_quote += later.taker_quote

    def wire(self, symbol: str, interval: str, *, final: bool) -> dict[str, object]:
        """The `k` of a kline event."""
        return {
            "t": self.first_ms, "T": self.last_ms, "s": symbol, "i": interval,
            "f": self.first_trade, "L": self.last_trade,
            "o": f"{self.open:.8f}", "c": f"{self.close:.8f}",
            "h": f"{self.high:.8f}", "l": f"{self.low:.8f}",
            "v": f"{self.volume:.8f}", "n": self.trades, "x": final, "q": f"{self.quote:.8f}",
            "V": f"{self.taker_volume:.8f}", "Q": f"{self.taker_quote:.8f}", "B": "0",
        }  # fmt: skip


@dataclass(slots=True)
class Candles:
    """All intervals of one symbol; nothing is told before the first trade."""

    _second: Candle | None = None
    _open: dict[KlineName, Candle] = field(default_factory=dict)

    def trade(self, time_ms: int, number: int, price: str, quantity: str, *, buyer: bool) -> None:
        """Count one trade; `buyer` where the buyer was the taker. Call `advance(time_ms)` before."""
        cost, amount = Decimal(price), Decimal(quantity)
        if self._second is None:
            for name in NAMES:
                self._open[name] = _empty(name, time_ms, cost)
            self._second = _empty(KlineName("1s", 0), time_ms, cost)
        taken = amount if buyer else _ZERO
        one = Candle(
            self._second.first_ms, self._second.last_ms, cost, cost, cost, cost,
            number, number, 1, amount, cost * amount, taken, cost * taken,
        )  # fmt: skip
        self._second.merge(one)

    def advance(self, time_ms: int) -> Iterator[tuple[KlineName, Candle]]:
        """Yield every candle that is final at `time_ms`, and open the next."""
        second = self._second
        if second is None or time_ms <= second.last_ms:
            return
        for name, candle in self._open.items():
            candle.merge(second)
            if time_ms > candle.last_ms:
                yield name, candle
                self._open[name] = _empty(name, time_ms, candle.close)
        self._second = _empty(KlineName("1s", 0), time_ms, second.close)

    def current(self, name: KlineName) -> Candle | None:
        """The candle that is still open."""
        if self._second is None:
            return None
        candle = replace(self._open[name])
        candle.merge(self._second)
        return candle


def _empty(name: KlineName, time_ms: int, price: Decimal) -> Candle:
    return Candle(*span(name, time_ms), price, price, price, price)
