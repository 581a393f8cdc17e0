"""A project whose controller can be killed at a chosen write, and all that is seen of it from outside."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestrator.control import client
from orchestrator.errors import UnreachableError
from tests.integration.controller.conftest import Office

CHILD = Path(__file__).with_name("every_write_child.py")

PLUGIN = """\
import asyncio
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ntp import DataSourcePlugin, IndicatorPlugin, MarketData

# Once a process, so once a life. Where its manifest is read there is no storage.
with suppress(OSError):
    launch = Path(os.environ.get("NTP_LAUNCH", "/run/ntp"), "launch.json")
    line = json.dumps(json.loads(launch.read_text())["config"]) + "\\n"
    with open("/storage/lives", "a") as lives:
        lives.write(line)


class Tiny(BASE):
    '''As little as can run.'''
"""
SOURCE = """
    async def stream(self):
        while True:
            yield MarketData(timestamp=datetime.now(UTC), symbol="A", price=1.0, volume=1.0)
            await asyncio.sleep(0.5)
"""
INDICATOR = """
    def update(self, data):
        return data.price
"""
FIRST = """\
plugins:
  data_sources:
    - {name: ticks, source: ./ticks.py, storage: 1MB, config: {symbols: [A]}}
  indicators:
    - {name: steady, source: ./steady.py, storage: 1MB}
    - {name: changed, source: ./changed.py, storage: 1MB, config: {size: 1}}
    - {name: removed, source: ./removed.py, storage: 1MB}
"""
PUSHED = FIRST.replace("symbols: [A]", "symbols: [A, B]")
SECOND = PUSHED.replace("size: 1", "size: 2")
THIRD = "".join(line for line in SECOND.splitlines(keepends=True) if "removed" not in line)
ONE = [{"size": 1}]
TWO = [{"size": 1}, {"size": 2}]


@dataclass(frozen=True)
class Step:
    """What is asked for, and what is there when it is done."""

    name: str
    text: str | None
    """plugins.yaml; None: down."""
    there: frozenset[str]
    disturbed: frozenset[str]
    """Whom this step is meant to stop."""
    lives: dict[str, list[dict]]
    """By instance, the config of each life that ever began."""


EVERYBODY = frozenset({"broker", "ticks", "steady", "changed", "removed"})
ALWAYS = {"ticks": [{"symbols": ["A"]}], "steady": [{}], "removed": [{}]}
STEPS = (
    Step("apply", FIRST, EVERYBODY, frozenset(), {**ALWAYS, "changed": ONE}),
    Step("push", PUSHED, EVERYBODY, frozenset(), {**ALWAYS, "changed": ONE}),
    Step("change", SECOND, EVERYBODY, frozenset({"changed"}), {**ALWAYS, "changed": TWO}),
    Step("remove", THIRD, EVERYBODY - {"removed"}, frozenset({"removed"}),
         {**ALWAYS, "changed": TWO}),
    Step("down", None, frozenset(), EVERYBODY, {}),
)  # fmt: skip


class Watched(Office):
    """An office whose controller may kill itself, and all that can be seen of it from outside."""

    def __init__(self, folder: Path, cache: Path) -> None:
        super().__init__(folder, cache)
        self.trace = folder / "trace"
        self.trace.touch()
        for name in ("ticks", "steady", "changed", "removed"):
            base, rest = (
                ("DataSourcePlugin", SOURCE) if name == "ticks" else ("IndicatorPlugin", INDICATOR)
            )
            (folder / f"{name}.py").write_text(PLUGIN.replace("BASE", base) + rest)

    def serve_counted(self, number: int = 0, side: str = "before", skipped: str = "") -> None:
        with (self.folder / "controller.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(CHILD), str(self.trace), str(number), side, skipped],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def writes(self) -> list[list[str]]:
        """Return the words of the trace: number, begun or made, which write, of whom."""
        return [line.split() for line in self.trace.read_text().splitlines()]

    def do(self, step: Step) -> bool:
        """Ask for a step and wait until it is done; False if the controller was killed meanwhile."""
        try:
            self.until(lambda: client.answers(self.socket), "controller that answers")
            if step.text is None:
                client.ask(self.socket, "down", within_s=60, delete_data=True, deadline=50)
            else:
                self._apply(step.text)
                # An apply waits for what is wanted, not for the end of what is not.
                self.until(lambda: self._there() == (step.there, step.there), "end of the removed")
        except (UnreachableError, AssertionError):
            # At its very end, `down` may have no time for an answer: its exit code is one.
            if not self._ended() or (step.text is not None and not self.killed):
                raise
        if step.text is not None:
            return not self.killed
        assert self._ended(), f"down, and it goes on\n{self.log()[-3000:]}"
        return not self.killed

    def _apply(self, text: str) -> None:
        outcome = client.ask(
            self.socket,
            "apply",
            within_s=100,
            sources=[["plugins.yaml", text]],
            settings={"folder": str(self.folder)},
            deadline=60,
            allow_deletes=True,
        )
        assert outcome["ready"], f"{outcome['waiting']}\n{self.log()[-4000:]}"

    def finish(self, step: Step) -> None:
        """Have an ordinary controller finish; then ask again, as one would whose call was broken off."""
        self.serve(wait=False)
        self.until(self._answers_or_ended, "controller that answers")
        if self.process.poll() is None:
            assert self.do(step) or step.text is None
        assert self.process.poll() in {None, 0}, self.log()[-3000:]

    def _answers_or_ended(self) -> bool:
        # One that finds everything taken down has no more to do, and ends.
        return client.answers(self.socket) or self.process.poll() is not None

    def _there(self) -> tuple[set[str], set[str]]:
        return set(self.shims()), self.folders()

    def _ended(self) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=30)
            return True
        return False

    @property
    def killed(self) -> bool:
        return self.process is not None and self.process.poll() == -signal.SIGKILL

    def alive(self) -> dict[str, tuple[int, str]]:
        """Return pid and start time of the one shim of each instance."""
        shims = self.shims()
        doubled = {name: pids for name, pids in shims.items() if len(pids) != 1}
        assert not doubled, f"started twice: {doubled}"
        found = {}
        for name, (pid,) in shims.items():
            with contextlib.suppress(FileNotFoundError):
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                found[name] = (pid, stat[19])
        return found

    def lives(self) -> dict[str, list[dict]]:
        """Return the config of each life, in order, as the plugins themselves wrote it down."""
        return {
            file.parent.name: [json.loads(line) for line in file.read_text().splitlines()]
            for file in (self.state / "storage").glob("*/lives")
        }

    def groups(self) -> set[str]:
        """Return the instances that have a control group of this project."""
        state = hashlib.sha256(str(self.state).encode()).hexdigest()[:8]
        # os.walk: groups of others come and go meanwhile.
        return {
            name.rpartition(".")[2]
            for _, folders, _ in os.walk("/sys/fs/cgroup")
            for name in folders
            if name.startswith(f"office-{state}.")
        }

    def folders(self) -> set[str]:
        """Return the instances that have a run folder."""
        run = self.state / "run"
        return (
            {each.name for each in run.iterdir() if not each.name.startswith(".")}
            if run.exists()
            else set()
        )

    def mounts(self) -> list[str]:
        """Return what is mounted below this project's folder, here: a sandbox's mounts are its own."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [line for line in lines if str(self.folder) in line]

    def kept(self, begun: int, step: Step) -> set[str]:
        """Return who has no reason to be another life after the kill than before.

        All whose start was made, but those that the step is meant to stop, unless it began them itself.

        Args:
            begun: how many lines the trace had when the step was begun.
            step: what was asked for when the controller was killed.
        """
        since: dict[str, int] = {}
        for at, (_, said, word, *about) in enumerate(self.writes()):
            if (said, word) == ("made", "Runtime.start"):
                since[about[0]] = at
            elif (said, word) == ("begun", "Runtime.stop"):
                since.pop(about[0], None)
        return {
            name
            for name, at in since.items()
            if name not in step.disturbed or (at >= begun and name in step.there)
        }
