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
_PIECE = 28_000
"""Bytes in which texts are replaced together: in more than 30,000 Python prepares the search for a text
of six letters and more anew for each place, which takes twice the time."""
_YEAR = 5
"""Letters of a time, `2024-`: the longer what is looked for, the fewer letters have to be looked at."""
_ROW = b'],["'
_decode = msgspec.json.Decoder(list[MarketData]).decode


class Bare:
    """Reads blocks whose rows are all of this symbol, which others have found to be good."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._cell = f",{symbol},".encode()
        self._quoted = b'",%b,' % msgspec.json.encode(symbol)
        # What this letter in a number says, it need not say in a symbol.
        self._told_by_dash = "-" not in symbol

    def ticks(self, body: bytes) -> Ticks:
        """Return the ticks of lines without the last end, without quotes and backslashes.

        Raises:
            ValueError: perhaps one is bad; look at each row.
        """
        cell, quoted, in_utc = self._cell, self._quoted, False
        if b"Z" + cell in body[: body.find(b"\n")]:
            # Found with the symbol, the letter need not be looked for: a time without it has no end then.
            cell, quoted, in_utc = b"Z" + cell, b"Z" + quoted, True
        rows = _ROW.join(_rows(body, cell, quoted))
        # What JSON takes within a row, and a row does not: ends of lines, an object as a seventh cell.
        if b"\n" in rows or b"\r" in rows or b"{" in rows:
            raise UnusualError
        ticks = Ticks(_decode(b'[["%b]]' % rows))
        # No tick has fewer than four cells, and none more than six: so each has six.
        if body.count(b",") != len(ticks) * _COMMAS:
            raise UnusualError
        self._check(ticks, body, in_utc=in_utc)
        ticks.nameless = True
        ticks.symbol = self._symbol
        return ticks

    def _check(self, ticks: Ticks, body: bytes, *, in_utc: bool) -> None:
        times, rows = ticks.times, len(ticks)
        if not in_utc and {time.tzinfo for time in times} != _UTC:
            raise UnusualError
        check_times((times[0], times[-1]) if ticks.rising else times)
        # A date has two of them; without a third nothing is negative.
        positive = self._told_by_dash and body.count(b"-") == 2 * rows
        if not positive and min(tick.volume for tick in ticks) < 0:
            raise UnusualError


def _rows(body: bytes, cell: bytes, quoted: bytes) -> list[bytes]:
    """Return pieces of whole lines as JSON, without the ends of each: `2024-…","BTC",1,2],["2024-…","BTC",1,2`."""
    blank = b",," if body.endswith(b",,") else b""
    begin = body[:_YEAR]
    end, instead = blank + b"\n" + begin, _ROW + begin
    pieces, at = [], 0
    while at < len(body):
        stop = len(body) if len(body) - at <= _PIECE else body.rfind(b"\n", at, at + _PIECE)
        piece = body[at:stop].replace(cell, quoted)
        if stop < at or not piece.endswith(blank):
            raise UnusualError  # a line longer than a piece, or one row with a quote and others without
        pieces.append(piece[: len(piece) - len(blank)].replace(end, instead))
        at = stop + 1
    return pieces
