"""A marketplace in a real registry: from `ntpctl plugin install` as it is typed to the entry in plugins.yaml."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ntp.create.folder import create
from tests.benchmarks.figure import Figure, median_s
from tests.worlds import base_image
from tests.worlds.registry import registry

TIMES = 7
CODE_MB = 5


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ntp-bench-market-") as name:
        folder = Path(name)
        with registry(folder / "registry") as host:
            return _figures(folder, host)


def _figures(folder: Path, host: str) -> list[Figure]:
    base_image.make(folder / "base")
    plugin = folder / "my_strategy"
    create(plugin, "bollinger", symbol="BTCUSDT", author="Ann")
    (plugin / "model.bin").write_bytes(random.Random(1).randbytes(CODE_MB * 1000**2))
    author = {"NTP_CONFIG": str(folder / "author"), "NTP_BASE": str(folder / "base")}
    made = _run(["ntp.cli", "marketplace", "init", "desk", f"{host}/desk", "--output", "json"], author)  # fmt: skip
    owner = json.loads(made)["owner"]
    start = time.perf_counter()
    _run(["ntp.cli", "plugin", "publish", plugin], author)
    published = time.perf_counter() - start
    buyer = {"NTP_CONFIG": str(folder / "buyer")}
    _run(["ntp.cli", "marketplace", "add", "desk", f"{host}/desk", "--fingerprint", owner], buyer)
    number = iter(range(1000))

    def install() -> float:
        project = folder / f"project-{next(number)}"
        project.mkdir()
        start = time.perf_counter()
        more = {**buyer, "NTP_CACHE": str(project / "cache"), "NTP_STATE": str(project / "state")}
        _run(["orchestrator", "plugin", "install", "my_strategy", "-f", project / "plugins.yaml"], more)  # fmt: skip
        return time.perf_counter() - start

    install()
    bare = median_s(lambda: _timed(["orchestrator", "plugin", "--help"], buyer), times=TIMES)
    installed = median_s(install, times=TIMES)
    return [
        Figure(
            f"`ntpctl plugin install`, {CODE_MB} MB from a local registry",
            f"{installed * 1e3:.0f} ms",
            f"`ntpctl plugin --help` {bare * 1e3:.0f} ms",
            installed / bare,
            target="< 1 s",
            note="every check of docs/marketplace.md, an empty cache",
        ),
        Figure(
            f"`ntp plugin publish`, {CODE_MB} MB, tested with all checks",
            f"{published * 1e3:.0f} ms",
        ),
        Figure(
            "`ntp plugin create` to the end of a green `ntp plugin test`, all checks",
            f"{median_s(lambda: _begun(folder, next(number)), times=3) * 1e3:.0f} ms",
            target="< 5 s",
        ),
    ]


def _begun(folder: Path, number: int) -> float:
    """Make a plugin and test it on its sample; seconds."""
    fresh = folder / f"fresh_{number}"
    start = time.perf_counter()
    _run(["ntp.cli", "plugin", "create", fresh, "--template", "bollinger"], {})
    _run(["ntp.cli", "plugin", "test", fresh], {})
    return time.perf_counter() - start


def _run(arguments: list[object], environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    return done.stdout


def _timed(arguments: list[object], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    _run(arguments, environment)
    return time.perf_counter() - start
