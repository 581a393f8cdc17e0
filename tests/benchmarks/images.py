"""Images: what they weigh, what building costs, and from `docker start` to the first beat.

The base is made of Debian's packages. What needs an engine is measured where `docker` reaches one.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from ntp.contract.launch import CREDENTIALS_FILE, FOLDER, LAUNCH_FILE, BusAddress, LaunchFile
from ntp.contract.names import Kind
from ntp.oci import image
from ntp.oci.base_image import CODE
from ntp.oci.layout import Layout
from ntp.oci.source import architecture
from orchestrator.bus.connection import listen
from tests.benchmarks.figure import Figure, median_s
from tests.integration.runner.conftest import Bench

ROOT = Path(__file__).parents[2]
PLUGIN = "rsi_indicator"
TIMES = 9
DEADLINE_S = 60.0
HARDENED = (
    "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=64", "--memory=256m",
    "--memory-swap=256m", "--init", "--tmpfs=/tmp:noexec,nosuid,nodev,size=16m", "--log-driver=none", "--network=host",
)  # fmt: skip


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ntp-bench-images-") as name:
        folder = Path(name)
        base = folder / "base"
        first = _s([sys.executable, ROOT / "plugin-images/base/from_debian.py", "-o", base])
        again = _s([sys.executable, ROOT / "plugin-images/base/from_debian.py", "-o", base])
        found = image.choose(Layout.open(base), None, architecture=architecture())
        plain = folder / "plugin.tar"
        package = [
            sys.executable,
            "-m",
            "ntp.cli",
            "plugin",
            "package",
            ROOT / "plugin-images/rsi-indicator",
        ]
        package += ["--base", base, "-o", plain, "--output", "json"]
        said = json.loads(subprocess.run(package, check=True, capture_output=True).stdout)
        packed = median_s(lambda: _s(package), times=5)
        images = ["images", "build", "-o", "json"]
        ntpctl = [sys.executable, "-m", "orchestrator", *images, "--base", base]
        environment = {"NTP_CACHE": str(folder / "cache")}
        built = _s(ntpctl, **environment)
        _s(ntpctl, **environment)
        unchanged = median_s(lambda: _s(ntpctl, **environment), times=5)
        top = sum(layer["size"] for layer in said["layers"])
        figures = [
            Figure("base image of Debian's packages", f"{found.size / 2**20:.1f} MiB", f"made in {first:.0f} s, again where nothing changed {again:.1f} s"),
            Figure("a plugin's own layer (rsi_indicator)", f"{top / 2**10:.0f} KiB", f"its image {said['size'] / 2**20:.1f} MiB", top / said["size"]),
            Figure("`ntp plugin package` of a plugin", f"{packed * 1e3:.0f} ms"),
            Figure("`ntpctl images build` of 7, nothing there", f"{built:.1f} s", f"nothing changed {unchanged:.1f} s", built / unchanged),
        ]  # fmt: skip
        if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0:
            figures += asyncio.run(_engine(folder, plain, said["id"]))
        return figures


async def _engine(folder: Path, archive: Path, identity: str) -> list[Figure]:
    loaded = _s(["docker", "load", "--quiet", "-i", archive])
    # A prefix where nothing is: what an image without compiled files does at each start.
    ways = {"compiled": [], "not compiled": ["--env=PYTHONPYCACHEPREFIX=/nonexistent"]}
    samples: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(TIMES):
        for way, options in ways.items():
            with tempfile.TemporaryDirectory(dir=folder) as place:
                samples[way].append(await _first_beat(Path(place), identity, options))
    subprocess.run(["docker", "rmi", "-f", identity], capture_output=True, check=False)
    with_, without = (statistics.median(samples[way]) for way in ways)
    return [
        Figure("`docker load` of a plugin's image, nothing there", f"{loaded:.1f} s"),
        Figure(
            "from `docker start` to a plugin's first beat, hardened, p50",
            f"{with_ * 1e3:.0f} ms",
            f"without compiled files {without * 1e3:.0f} ms",
            with_ / without,
            note="The command line of docker is in it. Network of the host: the cost of a network namespace is measured elsewhere.",
        ),
    ]


async def _first_beat(folder: Path, identity: str, options: list[str]) -> float:
    bench = Bench(folder)
    bench.add(PLUGIN, Kind.INDICATOR, ROOT / "plugin-images/rsi-indicator/rsi_indicator.py", entry="RsiIndicator")  # fmt: skip
    name = f"ntp-bench-{os.getpid()}"
    try:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(bench.broker)
            await bench.open()
            # Who listens before there is a broker tries again later, and would hear the beat late.
            listening = listen(bench.broker.address, bench.broker.core_credentials)
            bench.bus = await stack.enter_async_context(listening)
            await bench.ensure()
            place = folder / "launch"
            place.mkdir()
            launch = LaunchFile(
                project="test",
                instance=PLUGIN,
                kind=Kind.INDICATOR,
                plugin=PLUGIN,
                entrypoint="rsi_indicator:RsiIndicator",
                code=CODE,
                generation=1,
                bus=BusAddress([f"nats://{bench.broker.address()}"]),
                plain_network=True,
            )
            (place / LAUNCH_FILE).write_bytes(msgspec.json.encode(launch))
            (place / CREDENTIALS_FILE).write_bytes(bench.broker.credentials(PLUGIN))
            for path in (folder, place, *place.iterdir()):
                path.chmod(0o755)
            bind = f"--volume={place}:{FOLDER}:ro"
            command = ["docker", "create", "--name", name, *HARDENED, bind, *options, identity]
            subprocess.run(command, check=True, capture_output=True)
            began = time.perf_counter()
            process = await asyncio.create_subprocess_exec(
                "docker", "start", name, stdout=asyncio.subprocess.DEVNULL
            )
            while bench.beat(PLUGIN) is None:
                if time.perf_counter() - began > DEADLINE_S:
                    raise TimeoutError(f"{PLUGIN} was not heard")
                await asyncio.sleep(0.001)
            took = time.perf_counter() - began
            await process.wait()
            return took
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", name], capture_output=True, check=False)
        bench.close()


def _s(command: list[object], **environment: str) -> float:
    """Run to the end; return seconds."""
    began = time.perf_counter()
    subprocess.run(
        [str(word) for word in command],
        check=True,
        capture_output=True,
        timeout=600,
        env={**os.environ, **environment},
    )
    return time.perf_counter() - began
