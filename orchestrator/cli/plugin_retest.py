"""`ntpctl plugin verify NAME --retest`: a seller's report beside what it is on one's own data."""

import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.failure import ended_like_ctrl_c, say
from orchestrator.cli.output import Column, put, table
from orchestrator.settings import Settings

_MOST_SYMBOLS = 4
_MOST_DIGITS, _WIDEST = 30, 40
"""Of a figure; columns of a cell, and of a field of a config."""
_COSTS = {"fee_rate": "fee", "slippage": "slippage", "half_spread": "half-spread", "latency_s": "latency", "volume_share": "volume-share"}  # fmt: skip
"""By the report's name: as the option of `ntp plugin test` calls it."""


def reading(
    mapping: Sequence[str], zone: str | None, symbol: str | None, *, sort: bool
) -> list[str]:
    """Return how the data is to be read, in the options of `ntp plugin test`."""
    words = [f"--map={one}" for one in mapping]
    words += [f"--zone={zone}"] if zone else []
    words += [f"--symbol={symbol}"] if symbol else []
    return [*words, *(["--sort"] if sort else [])]


def check_asked(
    names: Sequence[str], data: Sequence[object], reading: Sequence[str], *, retest: bool
) -> None:
    """Refuse options that do not fit each other; every reason at once."""
    wrong = []
    if not retest:
        alone = ["--data"] * bool(data) + [word.partition("=")[0] for word in reading]
        wrong += [f"{word} goes with --retest\n  fix: verify NAME --retest --data MINE.csv" for word in dict.fromkeys(alone)]  # fmt: skip
    if retest and not data:
        wrong.append("--retest needs data of yours\n  fix: --data MINE.csv")
    if retest and len(names) != 1:
        wrong.append(f"--retest is of one plugin, and {len(names)} were named\n  fix: verify NAME --retest --data MINE.csv")  # fmt: skip
    if wrong:
        raise click.UsageError("\n".join(wrong))


def run(
    settings: Settings,
    name: str,
    data: Sequence[Path],
    *,
    reading: Sequence[str],
    market: str | None,
    key_files: Sequence[Path],
) -> dict[str, Any]:
    """Return VERIFIED (docs/json.md) with its `retest`; Ctrl-C, SIGTERM and a closed terminal end it clean."""
    from orchestrator.app.retesting import retest

    with ended_like_ctrl_c():
        found = retest(
            settings, name, data, reading=reading, market=market, key_files=key_files, progress=say
        )
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)  # its progress
    return found


def show(found: Mapping[str, Any] | None) -> None:
    """Print RETESTED (docs/json.md), where there is one."""
    if found is None:
        return
    put(f"\nas its report was made: {_settings(found)}")
    for whose, words in (("theirs", "report   "), ("yours", "your data")):
        if (data := found["data"][whose]) is not None:
            put(f"  {words}  {_data(data)}")
    for line in found["notes"]:
        put(f"  · {line}")
    rows = [each for each in found["figures"] if (each["theirs"], each["yours"]) != (None, None)]
    if rows:
        put("")
        table(
            rows,
            [
                Column("FIGURE", lambda row: str(row["name"])),
                Column("REPORT", lambda row: _cell(row["theirs"], row["unit"]), right=True),
                Column("YOUR DATA", lambda row: _cell(row["yours"], row["unit"]), right=True),
            ],
        )
    if found["checks"]:
        put("")
        table(
            found["checks"],
            [
                Column("CHECK", lambda row: str(row["name"])),
                Column("REPORT", lambda row: str(row["theirs"] or "-")),
                Column("YOUR DATA", lambda row: str(row["yours"] or "-")),
                Column("FOUND", _words),
            ],
        )
    put("")
    if found["passed"]:
        put("it ran to the end on your data, and no check failed", "green")
    else:
        put("it did not pass on your data", "red")


def _settings(found: Mapping[str, Any]) -> str:
    said = found["settings"]
    words = [f"{name}={str(value)[:_WIDEST]}" for name, value in found["config"].items()]
    words += [f"bars {said['bars']}"] if said["bars"] else []
    words += [f"history {said['history']}", f"capital {said['capital']}"]
    words += ["short"] if said["short"] else []
    words += [f"pyramid {said['pyramid']}"] if said["pyramid"] != 1 else []
    costs = ((word, said["costs"].get(name)) for name, word in _COSTS.items())
    words += [f"{word} {value}" for word, value in costs if value not in (None, "0")]
    return ", ".join(words)


def _data(data: Mapping[str, Any]) -> str:
    files = ", ".join(str(each["name"]) for each in data["files"])
    symbols = sorted(data["symbols"])
    many = f" and {len(symbols) - _MOST_SYMBOLS} more" if len(symbols) > _MOST_SYMBOLS else ""
    bad = f", {data['bad_rows']:,} rows left out" if data["bad_rows"] else ""
    of = f" of {', '.join(symbols[:_MOST_SYMBOLS])}{many}" if symbols else ""
    return f"{files}: {data['ticks']:,} ticks{of}, {data['first']} to {data['last']}{bad}"


def _cell(value: object, unit: str) -> str:
    """A stranger signed it: what does not fit its unit is shown as it stands."""
    from ntp.page.figures import told

    try:
        if unit == "money" and Decimal(str(value or 0)).adjusted() > _MOST_DIGITS:
            return str(value)[:_WIDEST]  # 1e999999999 has as many digits
        return told(value, unit)[:_WIDEST]
    except (ValueError, InvalidOperation, OverflowError):
        return str(value)[:_WIDEST]


def _words(row: Mapping[str, Any]) -> str:
    return f"{row['words']}\nfix: {row['fix']}" if row["fix"] else str(row["words"])
