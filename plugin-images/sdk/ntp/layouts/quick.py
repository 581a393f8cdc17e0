"""Blocks of rows at the speed of a JSON decoder, as long as no row among them is bad.

A block becomes a JSON list of lists of texts by two replacements; msgspec reads it into typed rows,
and refuses it where one has another number of cells or a cell that is no number. What it does not take,
`ntp.layouts.exact` reads row by row: the outcome is the same, only slower. A file of just a tick's
columns goes a shorter way still: `ntp.layouts.bare`. Figures: docs/data.md.
"""

import re
from collections.abc import Callable
from datetime import UTC
from typing import Any

import msgspec

from ntp.contract.messages import AwareTime, MarketData
from ntp.layouts.bare import Bare
from ntp.layouts.columns import Columns, UnusualError, check_numbers, check_times
from ntp.layouts.exact import Exact
from ntp.layouts.layout import Layout
from ntp.layouts.lines import Note
from ntp.ticks import Ticks

_FIELDS = ("timestamp", "symbol", "price", "volume", "bid", "ask")
"""Of a tick, the first. A file with just these columns is decoded to ticks at once."""
_UTC = {UTC}
_TRIES = 8
"""Blocks that may be read otherwise, after which nobody tries the shortest way any more."""


class Quick:
    """Reads blocks of lines of a layout, quickly where it can; bad rows are noted and left out."""

    def __init__(self, layout: Layout, note: Note) -> None:
        self._exact = Exact(layout, note)
        self._columns = Columns(layout)
        self._empty = False
        self._delimiter = layout.delimiter.encode()
        edge = re.escape(self._delimiter)
        self._quoted = re.compile(rb'(?<![^%b\n])"([^"%b\n]*)"(?=[%b\n])' % (edge, edge, edge))
        row = tuple.__class_getitem__(self._columns.kinds)
        self._rows: Any = msgspec.json.Decoder(list.__class_getitem__(row), strict=False)
        self._ticks = msgspec.json.Decoder(list[MarketData], strict=False)
        places = {role: column.at for role, column in layout.columns.items()}
        self._are_ticks = (
            places == {role: at for at, role in enumerate(_FIELDS)}
            and len(layout.seen) == len(_FIELDS)
            and layout.time.cell is AwareTime
            and not layout.moved
        )
        self._bare: Bare | None = None
        self._tries = _TRIES if self._are_ticks and layout.delimiter == "," else 0

    def block(self, number: int, block: bytes) -> Ticks:
        """Return the ticks of whole lines, of which the first has this number."""
        try:
            body = self._plain(block)
            if self._bare is not None:
                try:
                    return self._bare.ticks(body)
                except ValueError:
                    pass  # a number may be written in a way that JSON does not know
            ticks = self._typed(body)
        except (ValueError, OverflowError, TypeError):
            return Ticks(self._exact.block(number, block))
        if self._tries:
            self._tries -= 1
            alone = ticks.symbol if self._tries else None
            self._bare = None if alone is None else Bare(alone)
        return ticks

    def _typed(self, body: bytes) -> Ticks:
        json = self._json(body)
        if self._are_ticks:
            try:
                return self._read(json, self._at_once, len(body))
            except (ValueError, TypeError):
                pass  # a volume may be empty, a time in another zone
        return self._read(json, self._by_column, len(body))

    def _read(self, json: bytes, way: Callable[[bytes, int], Ticks], size: int) -> Ticks:
        """Read with empty cells as nulls, once one was seen: to look for them costs a fifth."""
        if not self._empty:
            try:
                return way(json, size)
            except (ValueError, TypeError):
                if b'""' not in json:
                    raise
        # An empty cell is none; two quotes side by side are nothing else.
        ticks = way(json.replace(b'""', b"null"), size + 2 * json.count(b'""'))
        self._empty = True
        return ticks

    def _by_column(self, json: bytes, _size: int) -> Ticks:
        return Ticks(self._columns.ticks(list(zip(*self._rows.decode(json), strict=True))))

    def _plain(self, block: bytes) -> bytes:
        """Return the lines without quotes and the last end; raises where text needs more care."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if b'"' in block:
            block = self._unquoted(block)
        if b"\\" in block:
            raise UnusualError
        return block[:-1]

    def _json(self, body: bytes) -> bytes:
        cells = body.replace(self._delimiter, b'","').replace(b"\n", b'"],["')
        return b"".join((b'[["', cells, b'"]]'))

    def _unquoted(self, block: bytes) -> bytes:
        """Take off quotes that are no more than around a whole cell."""
        plain, cells = self._quoted.subn(rb"\1", block)
        if 2 * cells != block.count(b'"'):
            raise UnusualError
        return plain

    def _at_once(self, json: bytes, body: int) -> Ticks:
        ticks = Ticks(self._ticks.decode(json))
        # A row with a cell too few would be a tick too: each end of a cell made the text two longer,
        # each end of a line four.
        count = len(ticks)
        if len(json) != body + 6 + 4 * (count - 1) + 2 * count * (len(_FIELDS) - 1):
            raise UnusualError
        times = ticks.times
        if {time.tzinfo for time in times} != _UTC:
            raise UnusualError
        check_times((times[0], times[-1]) if ticks.rising else times)
        volumes = [tick.volume for tick in ticks]
        if b"n" in json or b"N" in json:  # without that letter there is no NaN and no infinity
            prices = [tick.price for tick in ticks]
            check_numbers(prices, volumes, [t.bid for t in ticks], [t.ask for t in ticks])
        elif min(volumes) < 0:
            raise UnusualError
        self._columns.check_symbols({tick.symbol for tick in ticks})
        ticks.nameless = True
        return ticks
