"""A real Kubernetes of one node for tests: the one that NTP_TEST_KUBECONFIG names, or the one that `../shared/k8s/up` starts.

One that was started here is ended by the run that started it; each test works in a namespace of its own.
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ntp.oci import archive, base_image
from ntp.oci import image as images
from ntp.oci.layout import Layout
from ntp.oci.source import architecture
from orchestrator.launch import Environment, Image
from tests.worlds.engine import base

REPOSITORY = Path(__file__).parents[2]
DEFINITION = REPOSITORY / "helm" / "ntp" / "crds" / "pluginset.yaml"
STARTER = REPOSITORY.parent / "shared" / "k8s"
STATE = Path(os.environ.get("LOCAL_K8S_STATE", "/var/lib/local-k8s"))
KUBECONFIG = STATE / "admin.kubeconfig"
NAMED = "NTP_TEST_KUBECONFIG"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class AbsentClusterError(Exception):
    """No cluster is there, and none can be started."""


class Cluster:
    """A cluster whose administrator we are. `programs`: folder with kubectl, helm3 and helm4."""

    def __init__(self, kubeconfig, programs=None):
        self.kubeconfig = str(kubeconfig)
        self.programs = programs
        self._python = cache(self._load_base)
        self.environment = {
            **os.environ,
            "KUBECONFIG": self.kubeconfig,
            "PATH": os.pathsep.join(filter(None, [programs and str(programs), os.environ["PATH"]])),
        }

    def run(self, *words, stdin=None, within_s=120):
        """The output of a command that finds this cluster."""
        done = subprocess.run(
            [str(word) for word in words],
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=within_s,
            env=self.environment,
        )
        if done.returncode:
            refused = subprocess.CalledProcessError(
                done.returncode, words, done.stdout, done.stderr
            )
            refused.add_note(done.stderr)
            raise refused
        return done.stdout

    def kubectl(self, *words, **options):
        return self.run("kubectl", *words, **options)

    def define(self):
        """Have PluginSets, as this checkout has them, and wait until they can be asked for."""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", DEFINITION)
        # Not `kubectl wait`: it fails at once while a new definition has no conditions at all.
        end = time.monotonic() + 30
        while True:
            try:
                self.kubectl("get", "pluginsets", "--all-namespaces")
            except subprocess.CalledProcessError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def python(self):
        """What plugins of a test run in: the base image, made of Debian's packages, by its digest.

        The node knows it by the very name that pods ask for: a digest names a manifest of a registry, and
        containerd looks for it by the whole reference.
        """
        return self._python()

    def _load_base(self):
        folder = base()
        layout = Layout.open(folder)
        image = images.choose(layout, None, architecture=architecture())
        name = f"ntp/base@{image.descriptor.digest}"
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            archive.write(layout, [archive.Item(image, *name.rsplit(":", 1))], file)
            file.flush()
            self.load(file.name)
        return Environment(
            Path(base_image.facts(image, str(folder)).python),
            (Path(base_image.SDK_FOLDER), Path(base_image.RUNTIME_FOLDER)),
            image.digest,
            Image(
                f"docker.io/{name}",
                frozenset({image.config_descriptor.digest, image.descriptor.digest}),
            ),
        )

    def load(self, file):
        """Have the node know the images of an archive."""
        # As ../shared/k8s/load does, which is not beside every clone.
        socket = STATE / "run" / "containerd.sock"
        self.run("ctr", "-a", socket, "-n", "k8s.io", "images", "import", file, within_s=300)

    def recycle(self):
        """Offer again the volumes whose claims are gone: the node has eight, and keeps what was in them."""
        with (Path(tempfile.gettempdir()) / "ntp-test-volumes.lock").open("w") as alone:
            fcntl.flock(alone, fcntl.LOCK_EX)
            for volume in self.get("persistentvolumes")["items"]:
                folder = Path(volume["spec"].get("local", {}).get("path", ""))
                if volume["status"]["phase"] != "Released" or not folder.is_relative_to(STATE):
                    continue
                for each in folder.iterdir():
                    self.run("rm", "-rf", each)
                patch = [{"op": "remove", "path": "/spec/claimRef"}]
                words = ("patch", "pv", volume["metadata"]["name"], "--type=json", "-p")
                self.kubectl(*words, json.dumps(patch))

    @contextmanager
    def namespace(self, labels=RESTRICTED):
        """A namespace that is gone afterwards, with all that is in it."""
        self.recycle()
        name = f"ntp-test-{uuid.uuid4().hex[:8]}"
        made = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(made))
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def found():
    """Yield the cluster; raise AbsentClusterError where there is none."""
    if named := os.environ.get(NAMED):
        yield Cluster(named, _programs())
        return
    if not (STARTER / "up").exists():
        message = (
            "no ../shared/k8s is here that starts a Kubernetes, and NTP_TEST_KUBECONFIG names none"
        )
        raise AbsentClusterError(message)
    if os.geteuid() != 0 or sys.platform != "linux":
        raise AbsentClusterError("a Kubernetes can be started by root on Linux only")
    # Workers of one run share it, and so do runs beside each other: the first starts it, who leaves last
    # ends it. Whoever starts or ends it has the one lock for that long, whoever uses it has a share of
    # the other.
    folder = Path(tempfile.gettempdir())
    with (folder / "ntp-test-cluster.lock").open("a+") as used:
        with _alone(folder):
            if _lock_all(used):
                _start(used)
            fcntl.flock(used, fcntl.LOCK_SH)
        try:
            yield Cluster(str(KUBECONFIG), _programs())
        finally:
            with _alone(folder):
                if _lock_all(used) and _ours(used):
                    _down()
                    used.truncate(0)


@contextmanager
def _alone(folder):
    with (folder / "ntp-test-cluster-start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_all(used):
    """Return whether nobody else uses the cluster."""
    try:
        fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(used):
    """Start the cluster, and note that it is ours; one that was running already is not."""
    ours = _ours(used) or not KUBECONFIG.exists()
    done = _up()
    if done.returncode and ours:
        # What a start that failed has left would fail the next.
        _down()
        done = _up()
    if done.returncode:
        raise AbsentClusterError(f"no Kubernetes starts: {done.stderr.strip()[-500:]}")
    if "already running" not in done.stdout + done.stderr:
        used.truncate(0)
        used.write("ours")
        used.flush()


def _up():
    return subprocess.run(
        [STARTER / "up"], check=False, capture_output=True, text=True, timeout=400
    )


def _down():
    subprocess.run([STARTER / "down"], check=False, capture_output=True, timeout=120)


def _ours(used):
    used.seek(0)
    return used.read() == "ours"


def _programs():
    folder = STATE / "bin"
    return folder if folder.is_dir() else None
