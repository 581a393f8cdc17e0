"""One row of the table, and how samples become it."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`value` as people read it; `peer` is what it stands against, measured in the same run."""

    what: str
    value: str
    peer: str = ""
    ratio: float | None = None
    target: str = ""
    note: str = ""
    """What a reader has to know of it, in whole sentences; stands below the table."""


def median_s(run: Callable[[], object], *, times: int) -> float:
    """Return the median wall time of `run`, seconds, after one run that does not count."""
    run()
    samples = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        samples.append(time.perf_counter() - began)
    return statistics.median(samples)


def least_cpu_s(run: Callable[[], object], *, times: int) -> float:
    """Return the least CPU time of this process for `run`, seconds: neighbours hardly show in it."""
    samples = []
    for _ in range(times):
        began = time.process_time()
        run()
        samples.append(time.process_time() - began)
    return min(samples)


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample below which `share` of them lie (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def command_s(*command: str, times: int = 9, environment: Mapping[str, str] | None = None) -> float:
    """Return the median wall time of a whole process, seconds."""

    def once() -> None:
        subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=60,
            stdin=subprocess.DEVNULL,
            env=None if environment is None else {**os.environ, **environment},
        )

    return median_s(once, times=times)


def machine() -> str:
    """Describe this machine in a line: what a figure depends on, and no name of it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}"
    )
