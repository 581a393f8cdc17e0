"""After `kill -9` of whoever started 1,000 instances: how soon another one knows them all, and who died.

Each is a tiny Python in its own full sandbox under its own shim, as a plugin is; 1,000 real plugins would
need 30 GB.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ntp.confine import probe
from tests.benchmarks import project, tiny
from tests.benchmarks.figure import Figure

COUNT = 1_000
DEADLINE_S = 300.0
CHILD = (sys.executable, "-m", "tests.benchmarks.adoption_child")


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ntp-bench-adoption-") as name:
        state = Path(name)
        try:
            return _figures(state)
        finally:
            asyncio.run(tiny.clear(tiny.PROJECT, state))


def _figures(state: Path) -> list[Figure]:
    with _child("start", str(state), str(COUNT)) as (starter, before):
        assert len(before) == COUNT
        starter.kill()
        starter.wait(DEADLINE_S)
    began = time.perf_counter()
    with _child("adopt", str(state)) as (_, found):
        whole = time.perf_counter() - began
    kept = sum(found["lives"].get(name) == life for name, life in before.items())
    labels = f"reading the {COUNT:,} labels {found['labels_s'] * 1e3:.0f} ms"
    return [
        Figure(
            what=f"adopt {COUNT:,} instances after `kill -9` of their controller: know them all",
            value=f"{found['known_s'] * 1e3:.0f} ms, {COUNT - kept} restarts",
            peer=labels,
            ratio=found["known_s"] / found["labels_s"],
            target="1 s, 0 restarts",
            note=(
                f"Tiny programs, each in a sandbox of tier {probe.probe().tier} under its own shim; a runtime "
                "in a fresh process, its first listing. Lives are compared by their ids."
            ),
        ),
        Figure(
            what="the same, until the end of each would be noticed at once",
            value=f"{found['listening_s'] * 1e3:.0f} ms",
            peer=f"with the start of the interpreter and all imports {whole:.1f} s",
        ),
        Figure(
            what=f"every later listing of {COUNT:,}",
            value=f"{found['again_s'] * 1e3:.0f} ms",
            peer=labels,
            ratio=found["again_s"] / found["labels_s"],
        ),
    ]


@contextmanager
def _child(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Yield the process and the first thing that it said."""
    with subprocess.Popen(
        [*CHILD, *words], stdout=subprocess.PIPE, text=True, cwd=project.ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()
