"""Market data files of the layouts that people have: CSV and Parquet, with a header or without.

```
data = open_files(["BTCUSDT-aggTrades-2024-08.csv", "spy.csv"])
print(data)                    # which column is what, how times are read, what was assumed
for block in data.blocks():    # lists of MarketData, in order of time
    ...
print(data.bad)                # rows that were left out: file, line, column, value, why
```
"""

import os
from collections.abc import Mapping, Sequence

from ntp.layouts.bad import BadRow, BadRows
from ntp.layouts.dataset import BLOCK, Dataset, MarketFile, as_paths
from ntp.layouts.fault import LayoutError, OrderError, Problem, problem
from ntp.layouts.finding import Wishes
from ntp.layouts.layout import Layout
from ntp.layouts.times import zone_of

__all__ = [
    "BLOCK",
    "BadRow",
    "BadRows",
    "Dataset",
    "Layout",
    "LayoutError",
    "MarketFile",
    "OrderError",
    "Problem",
    "open_files",
]


def open_files(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    symbol: str | None = None,
    zone: str | None = None,
    mapping: Mapping[str, str] | None = None,
    sort: bool = False,
) -> Dataset:
    """Find out how files are to be read, from the first rows of each; nothing more is read yet.

    Args:
        paths: of CSV (any separator, with a header or without, plain, .gz or .zip) or Parquet.
        symbol: of files without such a column; None: the file's name says it.
        zone: of times that name none, such as `America/New_York`, `EST` (UTC-5 all year) or `+02:00`;
            None: UTC, and EST for HistData's files.
        mapping: which column is what, by role (`ntp.layouts.layout.ROLES`): a name of the header or a
            number from 1. `timestamp` also as `NAME:FORM`, FORM being s, ms, us, ns or a pattern such as
            `%d/%m/%Y %H:%M`; `bars` also as a length, `5m`; `stamp` is `start` or `end`: what a bar's
            time is of. Roles that are not named are found as ever.
        sort: sort each file on the disk first, whatever its order.

    A bar's price is its close; open, high and low are in its metadata. One that is dated by its start is
    given at its last microsecond, for before it nobody knew its close.

    Raises:
        LayoutError: files are missing, empty, ambiguous or no market data; all problems of all files.
    """
    problems: list[Problem] = []
    try:
        wishes = Wishes(symbol, None if zone is None else zone_of(zone), mapping)
    except ValueError as error:
        raise problem(
            "--zone",
            str(error),
            "write UTC, EST, an offset such as +02:00, or a name such as America/New_York",
        ) from None
    files = []
    for path in as_paths(paths):
        try:
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise problem(str(path), "this is no file", "write it to one: it is read twice")
            files.append(MarketFile(path, wishes))
        except LayoutError as error:
            problems += error.problems
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            problems.append(Problem(f"{path}: {words}", "name a file that can be read"))
    if problems or not files:
        raise LayoutError(problems or [Problem("no file was named", "name at least one")])
    return Dataset(files, sort=sort)
