"""The symbol that a file's name says, where no column does."""

import re
from pathlib import Path

_ENDS = re.compile(r"(\.(csv|txt|tsv|gz|zip|parquet|pq))+\Z", re.IGNORECASE)
_PARTS = re.compile(r"[- ,.]+")
_NO_SYMBOL = re.compile(
    r"(dat|ascii|mt|ninja|generic|binance|bybit|coinbase|kraken|okx|nasdaq|nyse|bitstamp|yahoo\w*|"
    r"polygon|trades?|aggtrades|klines?|ticks?|quotes?|ohlcv?t?|data|crypto|equity|fx|spot|daily|"
    r"minute|hourly|bars?|[mhd]\d{1,3}|\d+[smhdw]?|t)\Z",
    re.IGNORECASE,
)


def symbol_of(path: Path, kind: str, hint: str | None) -> tuple[str, str]:
    """Return the symbol of a file's rows, and where it was found.

    `hint`: what the file's first lines say. Else the first part of the name that is no vendor's, no
    length of bars and no date: `DAT_ASCII_EURUSD_M1_201202.csv`, `BTC_USDT-5m.csv`.
    """
    if hint:
        return hint, "the file's first lines"
    name = _ENDS.sub("", path.name)
    if kind.startswith("Binance "):
        return name.split("-", 1)[0], "the file's name"
    for part in _PARTS.split(name):
        pieces = [piece for piece in part.split("_") if piece]
        good = [piece for piece in pieces if not _NO_SYMBOL.match(piece)]
        if good:  # BTC_USDT is one, of EURUSD_M1 a part is
            return (part if len(good) == len(pieces) else good[0])[:64], "the file's name"
    return name[:64], "the file's name"
