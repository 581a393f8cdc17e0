"""Fifty plugins on Docker, beside `docker compose` with fifty containers of the same image."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.compose_peer import AGAIN, Compose
from tests.benchmarks.figure import Figure, percentile
from tests.worlds.engine import REPOSITORY, AbsentEngineError, find

PLUGINS = int(os.environ.get("BENCH_PLUGINS", "50"))
ROUNDS = 2
IDLE_S = 65.0
"""Longer than a life has to be, for the restart after it to wait for nothing."""
KILLS = 40
ENTRY = (
    "    - {{name: plugin_{number}, plugin: bollinger_strategy, config: {{period: {period}}}}}\n"
)


def measure() -> list[Figure]:
    try:
        engine = find()
    except AbsentEngineError as error:
        print(f"no figures of Docker: {error}", file=sys.stderr)
        return []
    try:
        return _figures(engine)
    finally:
        engine.close()


def _figures(engine) -> list[Figure]:
    engine.environment()
    with tempfile.TemporaryDirectory(prefix="ntp-bench-docker-") as place:
        folder = Path(place)
        ours = Ours(folder, engine)
        ours.declare()
        ours.run("apply")  # builds and loads the image
        image = engine.inspect(ours.containers()[0])["Image"]
        ours.run("down", "--yes", "--delete-data")
        peer = Compose(folder, engine, image, PLUGINS)
        taken = {}
        for turn in range(ROUNDS):
            for side in (peer, ours) if turn % 2 else (ours, peer):
                found = side.round()
                print(f"  {side.name}: {found}", file=sys.stderr, flush=True)
                for what, seconds in found.items():
                    taken.setdefault(what, {}).setdefault(side.name, []).append(seconds)
        figures = [_compared(what, *TARGETS[what], taken[what]) for what in TARGETS]
        return [*figures, *ours.alone()]


TARGETS = {
    "up": (f"Docker: from the command until {PLUGINS} plugins have said their first beat", "0.5x"),
    "again": (f"Docker: the same command again with {PLUGINS} running, nothing to do", "0.5x"),
    "one": (f"Docker: one changed of {PLUGINS}, until it is ready", "0.5x"),
    "down": (f"Docker: `down` of {PLUGINS}", "0.8x"),
}


def _compared(what, name, target, taken) -> Figure:
    mine, peer = statistics.median(taken["ours"]), statistics.median(taken["compose"])
    return Figure(
        what=name,
        value=f"{mine:.2f} s",
        peer=f"docker compose {peer:.2f} s",
        ratio=mine / peer,
        target=target,
        note=f"Medians of {ROUNDS} rounds in turn." if what == "up" else "",
    )


class Ours:
    """A project on Docker, by its commands."""

    name = "ours"

    def __init__(self, folder, engine):
        self.folder = folder / "ours"
        self.folder.mkdir()
        self.engine = engine
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NTP_", "PLUGIN_"))}
        self.environment = kept | {
            "DOCKER_HOST": engine.url,
            "NTP_RUNTIME": "docker",
            "NTP_BASE": str(REPOSITORY / "dist" / "base"),
            "NTP_STATE": str(self.folder / "state"),
            "NTP_CACHE": str(self.folder / "cache"),
        }

    def declare(self, *, changed=20):
        entries = (
            ENTRY.format(number=number, period=changed if number == 0 else 20)
            for number in range(PLUGINS)
        )
        text = f"name: fifty\nplugins:\n  strategies:\n{''.join(entries)}"
        (self.folder / "plugins.yaml").write_text(text)

    def run(self, *words):
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            cwd=self.folder, env=self.environment, check=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return time.monotonic() - began

    def containers(self):
        return self.engine.run(
            "ps", "--quiet", "--no-trunc", "--filter", "label=io.ntp.kind=strategy"
        ).split()

    def round(self):
        self.declare()
        taken = {
            "up": self.run("apply", "--yes"),
            "again": statistics.median(self.run("apply", "--yes") for _ in range(AGAIN)),
        }
        self.declare(changed=30)
        taken["one"] = self.run("apply", "--yes")
        taken["down"] = self.run("down", "--yes", "--delete-data")
        return taken

    def alone(self):
        """What the peer does not do at all."""
        self.declare()
        self.run("apply", "--yes")
        try:
            busy = self._idle()
            repairs = self._repairs()
        finally:
            self.run("down", "--yes", "--delete-data")
        return [
            Figure(
                what=f"Docker: from `docker kill` of a plugin to its next start, p50 / p99 of {len(repairs)}",
                value=" / ".join(f"{percentile(repairs, p) * 1e3:.0f} ms" for p in (0.5, 0.99)),
                target="p99 600 ms",
                note="One at a time, each once, by the engine's own events; no life is short.",
            ),
            Figure(
                what=f"Docker: CPU of the controller while {PLUGINS} plugins are idle",
                value=f"{busy * 100:.2f} % of a core",
                peer="",
                ratio=None,
                target="1 %",
            ),
        ]

    def _idle(self):
        said = subprocess.run(
            [sys.executable, "-m", "orchestrator", "doctor", "-o", "json"],
            cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        pid = json.loads(said)["controller"].split()[1].rstrip(",")

        def used():
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

        before, began = used(), time.monotonic()
        time.sleep(IDLE_S)
        return (used() - before) / (time.monotonic() - began)

    def _repairs(self):
        """Kill each once; return the seconds from the engine's `kill` to its `start`."""
        victims = [self.engine.inspect(each)["Name"].strip("/") for each in self.containers()]
        words = ["events", "--format", "{{.Action}} {{.Actor.Attributes.name}} {{.TimeNano}}"]
        kinds = [f"--filter=event={each}" for each in ("kill", "start")]
        with subprocess.Popen(
            ["docker", "--host", self.engine.url, *words, *kinds],
            stdout=subprocess.PIPE, text=True,
        ) as events:  # fmt: skip
            try:
                return [self._repair(name, events.stdout) for name in victims[:KILLS]]
            finally:
                events.terminate()

    def _repair(self, name, events):
        self.engine.run("kill", name)
        at = {}
        for line in events:
            action, whose, time_ns = line.split()
            if whose == name:
                at[action] = int(time_ns)
            if action == "start" and whose == name and "kill" in at:  # the start that answers ours
                return (at["start"] - at["kill"]) / 1e9
        raise AssertionError(f"{name} was not started again")
