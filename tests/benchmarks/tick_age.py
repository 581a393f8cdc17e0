"""How old a tick is when a strategy is handed it: with the sandbox, and without."""

import tempfile
from pathlib import Path

from ntp.contract.beat import Stage
from tests.benchmarks import project
from tests.benchmarks.figure import Figure

RATE, SKIP, COUNT = 1_000, 2_000, 7_000
"""Ticks a second; not counted, while imports and caches warm up; all."""
TURNS = 2
TEXT = f"""\
plugins:
  data_sources:
    - name: pulse
      config: {{symbols: [PULSE], rate: {RATE}, count: {COUNT}}}
      resources: {{cpu: 2}}
  strategies:
    - name: gauge
      config: {{skip: {SKIP}, count: {COUNT}}}
      resources: {{cpu: 2}}
"""
Ages = tuple[float, float]
"""Median and 99th percentile, microseconds."""


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ntp-bench-cache-") as cache:
        # In turn; of each the quieter run, for both have the same noisy neighbours.
        pairs = [(_ages(cache, sandbox=True), _ages(cache, sandbox=False)) for _ in range(TURNS)]
    inside, outside = (min(each) for each in zip(*pairs, strict=True))
    return [
        Figure(
            what=f"a tick's way from source to strategy at {RATE:,}/s, {name}, in the sandbox",
            value=f"{inside[at]:,.0f} us",
            peer=f"without sandbox {outside[at]:,.0f} us",
            ratio=inside[at] / outside[at],
        )
        for at, name in enumerate(("p50", "p99"))
    ]


def _ages(cache: str, *, sandbox: bool) -> Ages:
    environment = {"PLUGIN_DIR": str(Path(__file__).with_name("plugins")), "NTP_CACHE": cache}
    if not sandbox:
        environment["PLUGIN_SANDBOX"] = "false"
    with project.running("ticks", TEXT, environment=environment) as running:
        running.apply()
        tiers = {each["isolation"]["tier"] for each in running.states().values()}
        assert (tiers == {0}) is not sandbox, f"tiers were {tiers}"
        project.until(
            lambda: running.beats()["gauge"].stage is Stage.EXHAUSTED, "the ticks never ended"
        )
        gauge = running.beats()["gauge"]
        assert [(flow.count, flow.lost) for flow in gauge.received] == [(COUNT, 0)]
        found = gauge.indicators["PULSE"]
        return found["p50"], found["p99"]
