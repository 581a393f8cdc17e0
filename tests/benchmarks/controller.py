"""What a controller weighs, and how soon it starts again what was killed."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from ntp.confine import sandbox
from orchestrator.decide.state import Instance, Phase, Usage
from orchestrator.runtime.process.folder import RunFolder
from tests.benchmarks import project
from tests.benchmarks.figure import Figure, percentile

SIZES = (0, 100, 1_000)
EXAMPLE = project.ROOT / "config" / "plugins.yaml"
EAGER = ("tests.benchmarks.eager_controller",)
KILLS_EACH = 8
"""Of one plugin; more within a minute would be flapping, and it would be parked."""
DEADLINE_S = 300.0
MIB = 1 << 20
STEPS = (
    (
        "to the record of its end",
        "",
        "The shim's own work: it imports what an end needs only then.",
    ),
    (
        "to the call that starts it again",
        "p99 100 ms",
        "Every life counts as a stable one, so no back-off is in it. Kills come one at a time.",
    ),
    ("until it runs again", "", ""),
)


def measure() -> list[Figure]:
    return [*_weights(), *_repairs()]


def _weights() -> list[Figure]:
    empty, some, many = (_weigh(size) for size in SIZES)
    return [
        Figure(
            what=f"controller with {count:,} entries running, resident memory",
            value=f"{weight / MIB:.1f} MiB",
            peer=f"with none {empty / MIB:.1f} MiB (+{(weight - empty) / count / 1024:.1f} KiB each)",
            ratio=weight / empty,
            target="50 MB + 1 KB a plugin",
            note=(
                "Runtime, broker and bus are in the same memory, the store and all the rest are real: "
                "what is kept of each entry is its spec, layers, rights, record, last beat and status."
            )
            if count == SIZES[-1]
            else "",
        )
        for count, weight in zip(SIZES[1:], (some, many), strict=True)
    ]


def _weigh(count: int) -> int:
    with tempfile.TemporaryDirectory(prefix="ntp-bench-quiet-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.quiet_controller", str(count), folder],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            cwd=project.ROOT,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    rss: int = json.loads(done.stdout.splitlines()[-1])["rss"]
    return rss


def _repairs() -> list[Figure]:
    with project.running("repairs", EXAMPLE.read_text(), serve=EAGER) as running:
        idle = _resident(running.controller.pid)
        running.apply()
        folder = running.settings.state / "run"
        killed = sorted(running.states())
        took = [
            _repair(running, RunFolder(folder / name)) for _ in range(KILLS_EACH) for name in killed
        ]
        busy = _resident(running.controller.pid)
    return [
        Figure(
            what="`ntpctl serve` before the first apply, resident memory",
            value=f"{idle / MIB:.1f} MiB",
            peer=f"with the example's {len(killed)} plugins {busy / MIB:.1f} MiB",
            ratio=busy / idle,
            target="50 MB",
        ),
        *(
            Figure(
                what=f"from `kill -9` of a plugin {what}, p50 / p99 of {len(took)}",
                value=" / ".join(
                    f"{percentile(each, share) * 1e3:.0f} ms" for share in (0.5, 0.99)
                ),
                target=target,
                note=note,
            )
            for each, (what, target, note) in zip(zip(*took, strict=True), STEPS, strict=True)
        ),
    ]


def _repair(running: project.Project, folder: RunFolder) -> tuple[float, ...]:
    """Kill the plugin's own process; return the seconds to each of STEPS."""
    name = folder.name
    project.until(lambda: running.states()[name]["ready"], f"{name} was not ready again")
    before = _seen(folder)
    assert before.pid is not None
    killed = time.time()
    assert sandbox.terminate(before.pid, signal.SIGKILL)
    # Only reads of the record: a question to the controller would wake it, a listing of our own
    # would tidy up in its place.
    project.until(lambda: _lives_again(folder, before), f"{name} was not started again")
    after = _seen(folder)
    recorded = datetime.fromisoformat(running.states()[name]["last_exit"]["at"])
    steps = (recorded, after.created, after.started)
    return tuple(at.timestamp() - killed for at in steps if at is not None)


def _lives_again(folder: RunFolder, before: Instance) -> bool:
    now = _seen(folder)
    return now.id != before.id and now.phase is Phase.RUNNING


def _seen(folder: RunFolder) -> Instance:
    label = folder.label()
    assert label is not None
    return folder.instance(label, Usage())


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel shows no VmRSS")
