"""What columns are called: by Yahoo, TradingView, ccxt, freqtrade, Binance, Polygon, MetaTrader, Stooq."""

import re
from collections.abc import Mapping, Sequence

from ntp.layouts.layout import ROLES

# The first name of a role that a header has wins. Names without what is no letter or digit, in small letters.
_NAMES: dict[str, tuple[str, ...]] = {
    "timestamp": (
        "timestamp", "siptimestamp", "participanttimestamp", "windowstart", "opentime",
        "transacttime", "tradetime", "eventtime", "datetime", "unix", "unixtimestamp", "epoch",
        "dateutc", "utc", "gmttime", "time", "date", "ts", "t",
    ),
    "close_time": ("closetime",),
    "symbol": ("symbol", "ticker", "pair", "instrument", "market", "sym", "s"),
    "volume": ("volume", "basevolume", "vol", "qty", "quantity", "size", "amount", "tickvol", "v", "q"),
    "bid": ("bid", "bidprice", "bestbid", "bestbidprice"),
    "ask": ("ask", "askprice", "bestask", "bestaskprice", "offer"),
    "id": ("id", "tradeid", "aggtradeid"),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "h"),
    "low": ("low", "lowprice", "l"),
    "count": ("count", "trades", "transactions", "numberoftrades", "tradecount"),
    "bars": ("bars",),
}  # fmt: skip
CLOSES = frozenset({"close", "closelast", "closeprice", "c"})
# Which of two prices is meant nobody but the user can say, so none of these is before another.
_PRICES = frozenset({
    *CLOSES, "price", "last", "lastprice", "tradeprice", "mid", "p",
})  # fmt: skip


def plain(name: str) -> str:
    """Return a column's name without case, blanks, brackets and signs."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


def by_name(header: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Return where each role is, and what is ambiguous, in words."""
    names = [plain(name) for name in header]
    found: dict[str, int] = {}
    doubts: list[str] = []
    for role, known in _NAMES.items():
        for name in known:
            at = [i for i, each in enumerate(names) if each == name]
            if len(at) > 1:
                doubts.append(f"{role} may be {_columns(header, at)}")
            if at:
                found[role] = at[0]
                break
    prices = [i for i, name in enumerate(names) if name in _PRICES]
    if len(prices) > 1:
        doubts.append(f"price may be {_columns(header, prices)}")
    if prices:
        found["price"] = prices[0]
    if "volume" not in found:
        _volume_of_an_asset(header, names, found, doubts)
    if {"date", "time"} <= set(names) and found["timestamp"] in (
        names.index("time"),
        names.index("date"),
    ):
        found["timestamp"], found["clock"] = names.index("date"), names.index("time")
    return found, doubts


def as_told(header: Sequence[str], mapping: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """Return where the roles are that the user names, and what is wrong with that, in words."""
    found, wrong = {}, []
    for role, name in mapping.items():
        if role not in ROLES:
            wrong.append(f"{role!r} is nothing that a column can be; say one of {', '.join(ROLES)}")
            continue
        at = _place(header, name)
        if at is None:
            wrong.append(f"no column {name!r} for {role}")
        else:
            found[role] = at
    return found, wrong


def _place(header: Sequence[str], name: str) -> int | None:
    if name in header:
        return header.index(name)
    same = [i for i, each in enumerate(header) if each.strip().lower() == name.strip().lower()]
    if same:
        return same[0]
    if name.isascii() and name.isdigit() and 0 < int(name) <= len(header):
        return int(name) - 1
    return None


def _volume_of_an_asset(
    header: Sequence[str], names: Sequence[str], found: dict[str, int], doubts: list[str]
) -> None:
    """Find `Volume BTC`; two of the kind are ambiguous."""
    at = [i for i, name in enumerate(names) if name.startswith("volume")]
    if len(at) > 1:
        doubts.append(f"volume may be {_columns(header, at)}")
    if at:
        found["volume"] = at[0]


def _columns(header: Sequence[str], at: Sequence[int]) -> str:
    return " or ".join(f"{header[i]!r}" for i in at)
