"""A release of helm/ntp on the cluster of the tests, and what a person asks of it."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import yaml

from tests.worlds.chart import CHART, ROOT, path_of
from tests.worlds.cluster import STATE

WITHIN_S = 240
SMALL = {
    "controller": {"replicas": 1, "resources": {"requests": {"cpu": "10m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}},
    "nats": {"storage": {"size": "1Gi"}, "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}}},
    "egressProxy": {"resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}}},
    "defaults": {"resources": {"memory": "128MB", "cpu": 0.5}},
}  # fmt: skip


@cache
def images(cluster):
    """The values that name the images of this tree, which the node knows by now."""
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    # Each worker asks for them, and two that made them at once would take the files from each other.
    with (dist / "cluster-images.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        made = subprocess.run(
            [ROOT / ".ci" / "cluster-images"],
            capture_output=True, text=True, timeout=900, env={**os.environ, "PYTHON": sys.executable},
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-4000:]
        cluster.load(dist / "cluster" / "images.tar")
        return yaml.safe_load((dist / "cluster" / "images.yaml").read_text())


class Release:
    """`name` in a namespace; `program`: which Helm."""

    def __init__(self, cluster, namespace, folder, *, name="ntp", program="helm4"):
        self.cluster = cluster
        self.namespace = namespace
        self.name = name
        self.folder = folder
        self.program = path_of(program)
        self.images = images(cluster)

    def helm(self, *words, within_s=WITHIN_S):
        return self.cluster.run(self.program, "-n", self.namespace, *words, within_s=within_s)

    def install(self, values):
        # The kind is there: it belongs to the cluster, and not to one release.
        self.helm("install", self.name, CHART, "--skip-crds", *self._files(values))

    def upgrade(self, values):
        self.helm("upgrade", self.name, CHART, "--skip-crds", *self._files(values))

    def _files(self, values):
        file = self.folder / "values.yaml"
        file.write_text(json.dumps(merged(SMALL, values)))
        known = self.folder / "images.yaml"
        known.write_text(json.dumps(self.images))
        return ["-f", known, "-f", file]

    def kubectl(self, *words, **options):
        return self.cluster.kubectl("-n", self.namespace, *words, **options)

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def ntpctl(self, *words, code=0, within_s=120):
        """What `ntpctl` printed, as a person with this kubeconfig."""
        command = [sys.executable, "-m", "orchestrator", *map(str, words)]
        command += ["--context", self.context, "--namespace", self.namespace]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=within_s,
            cwd=self.folder,
            env={**self.cluster.environment, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    @property
    def context(self):
        return self.cluster.run("kubectl", "config", "current-context").strip()

    def plugins(self):
        return {each["name"]: each for each in json.loads(self.ntpctl("status", "-o", "json"))["plugins"]}  # fmt: skip

    def pods(self, selector=""):
        """Pod -> its uid."""
        listed = self.get("pods", *(["-l", selector] if selector else []))["items"]
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in listed}

    def until(self, claim, within_s=WITHIN_S):
        """Wait until a claim holds, and return what it gave; what the cluster says, if it never does."""
        end = time.monotonic() + within_s
        while not (found := claim()):
            if time.monotonic() > end:
                raise AssertionError(self.shown())
            time.sleep(0.5)
        return found

    def until_ready(self, count):
        """Until the PluginSet says that so many plugins are ready as of its newest generation."""

        def is_ready():
            body = self.get("pluginset", self.name)
            status = body.get("status") or {}
            return (
                status.get("observedGeneration") == body["metadata"]["generation"]
                and status.get("ready") == f"{count}/{count}"
            )

        self.until(is_ready)

    def shown(self):
        shown = self.kubectl("get", "pods,pluginsets", "-o", "wide")
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp")
        logs = self.kubectl("logs", f"deployment/{self.name}-controller", "--tail=40")
        return f"{shown}\n{events[-4000:]}\n{logs}"

    def keep(self, folder):
        """Write down what its pods said, and what the cluster says of them."""
        (folder / "events").write_text(self.kubectl("get", "events", "--sort-by=.lastTimestamp"))
        for pod in self.pods():
            (folder / f"{pod}.log").write_text(self.kubectl("logs", pod, "--timestamps"))

    def storage(self, plugin, into):
        """A copy of what a plugin keeps."""
        claim = self.get("persistentvolumeclaim", plugin.replace("_", "-"))
        volume = self.get("persistentvolume", claim["spec"]["volumeName"])
        folder = Path(volume["spec"]["local"]["path"])
        assert folder.is_relative_to(STATE)
        shutil.copytree(folder, into)
        return into

    def left(self):
        """Everything that is in the namespace and belongs to no namespace by itself."""
        kinds = self.cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()  # fmt: skip
        asked = [
            kind for kind in kinds if not kind.startswith(("events", "endpoint", "pods.metrics"))
        ]
        found = self.kubectl("get", ",".join(asked), "-o", "name", "--ignore-not-found").split()
        own = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
        return sorted(set(found) - own)


def merged(below, above):
    """Values over others, as Helm lays them."""
    found = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both else value
    return found
