"""A cluster that knows PluginSets."""

import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from orchestrator.spec import source

ROOT = Path(__file__).parents[3]


def plugin_set(name, spec):
    return {
        "apiVersion": "ntp.dev/v1alpha1",
        "kind": "PluginSet",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.fixture
def put(knowing, namespace):
    """Give the cluster the files of some plugins.yaml as a PluginSet; dry: it only says what it thinks."""

    def put(name, file, *options):
        spec = source.parse(Path(file).read_bytes(), file=str(file)).value
        body = json.dumps(plugin_set(name, spec))
        return knowing.kubectl("-n", namespace, "create", *options, "-f", "-", stdin=body)

    return put


class Controller:
    """A process that runs `tests.worlds.house_on_cluster`."""

    def __init__(self, process):
        self.process = process

    def told(self, within_s=60.0):
        """The next line that it prints."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(within_s), "it said nothing"
            return self.process.stdout.readline().strip()

    def ask(self, expression):
        self.process.stdin.write(f"{expression}\n")
        self.process.stdin.flush()
        return self.told()


FLEET = """
plugins:
  data_sources:
    - {name: feed, plugin: binance_data, config: {symbols: [BTCUSDT]}}
  strategies:
    - {name: momentum, config: {lookback: 14}}
"""


@pytest.fixture
def kubectl(knowing, namespace):
    def kubectl(*words, **options):
        return knowing.kubectl("-n", namespace, *words, **options)

    return kubectl


@pytest.fixture
def write(kubectl):
    """Write a PluginSet as `kubectl apply` does."""

    def write(text=FLEET, name="desk", **annotations):
        body = plugin_set(name, yaml.safe_load(text))
        body["metadata"]["annotations"] = annotations
        return kubectl("apply", "-f", "-", stdin=json.dumps(body))

    return write


@pytest.fixture
def environment(knowing, namespace, tmp_path):
    """Of a controller and of the commands that are to find it."""
    return {
        **knowing.environment,
        "NTP_NAMESPACE": namespace,
        "NTP_STATE": str(tmp_path / "state"),
        "NTP_CACHE": str(tmp_path / "cache"),
        "NTP_CONFIG": str(tmp_path / "configuration"),
        "NTP_RUNTIME": "",
    }


@pytest.fixture
def controller(environment, tmp_path):
    """Start a controller; it leads when nobody else does."""
    started = []

    def controller(name="one"):
        with (tmp_path / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.worlds.house_on_cluster", "desk"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**environment, "NTP_STATE": str(tmp_path / f"state-{name}")},
                cwd=ROOT,
            )
        started.append(process)
        return Controller(process)

    yield controller
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ntpctl(environment, tmp_path):
    """Run a command of a person at this cluster."""

    def ntpctl(*words, code=0, name="one", stdin=None):
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *map(str, words)],
            capture_output=True,
            text=True,
            input=stdin,
            timeout=110,
            env={
                **environment,
                "NTP_STATE": str(tmp_path / f"state-{name}"),
                "NTP_CONTEXT": "local",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            cwd=tmp_path,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return ntpctl


def eventually(look, within_s=60.0):
    """Return what `look` returns once that is true."""
    ends = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < ends, "it did not become true"
        time.sleep(0.2)
    return found
