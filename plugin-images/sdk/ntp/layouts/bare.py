"""Blocks of a file that has just a tick's columns, of one symbol, as JSON in which numbers are numbers.

Only the time and the symbol need quotes, and both ends of a known symbol are found with it: so one
replacement for it and one for the ends of lines make JSON of a block, with half the work of quoting each
cell. Numbers as JSON writes them are all that it takes; `ntp.layouts.quick` reads the rest.
"""

from datetime import UTC

import msgspec

from ntp.contract.messages import MarketData
from ntp.layouts.columns import UnusualError, check_times
from ntp.ticks import Ticks

_COMMAS = 5
"""In a row: timestamp, symbol, price, volume, bid, ask."""
_UTC = {UTC}
_decode = msgspec.json.Decoder(list[MarketData]).decode


class Bare:
    """Reads blocks whose rows are all of this symbol, which others have found to be good."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._cell = f",{symbol},".encode()
        self._quoted = b'",%b,' % msgspec.json.encode(symbol)
        # What one of these letters in a time, or in a number, says, it need not say in a symbol.
        self._told_by_z = "Z" not in symbol
        self._told_by_dash = "-" not in symbol

    def ticks(self, body: bytes) -> Ticks:
        """Return the ticks of lines without the last end, without quotes and backslashes.

        Raises:
            ValueError: perhaps one is bad; look at each row.
        """
        json = body.replace(self._cell, self._quoted)
        if json.endswith(b",,"):
            json = json[:-2].replace(b",,\n", b'],["')
        else:
            json = json.replace(b"\n", b'],["')
        # What JSON takes within a row, and a row does not: ends of lines, an object as a seventh cell.
        if b"\n" in json or b"\r" in json or b"{" in json:
            raise UnusualError
        ticks = Ticks(_decode(b'[["%b]]' % json))
        # No tick has fewer than four cells, and none more than six: so each has six.
        if body.count(b",") != len(ticks) * _COMMAS:
            raise UnusualError
        self._check(ticks, body)
        ticks.nameless = True
        ticks.symbol = self._symbol
        return ticks

    def _check(self, ticks: Ticks, body: bytes) -> None:
        times, rows = ticks.times, len(ticks)
        in_utc = self._told_by_z and body.count(b"Z") == rows
        if not in_utc and {time.tzinfo for time in times} != _UTC:
            raise UnusualError
        check_times((times[0], times[-1]) if ticks.rising else times)
        # A date has two of them; without a third nothing is negative.
        positive = self._told_by_dash and body.count(b"-") == 2 * rows
        if not positive and min(tick.volume for tick in ticks) < 0:
            raise UnusualError
