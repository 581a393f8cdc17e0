"""helm/ntp as Helm renders it: without a cluster."""

import json
import lzma
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import yaml

from tests.worlds.cluster import STARTER
from tests.worlds.environment import absent

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "ntp"
VERSION = "1.34.0"


@cache
def helms():
    """Each Helm that is here, by what it is called: both lines that are kept, or the one on PATH."""
    state = Path(os.environ.get("LOCAL_K8S_STATE", "/var/lib/local-k8s"))
    found = {}
    for name in ("helm3", "helm4", "helm"):
        path = shutil.which(name) or shutil.which(name, path=str(state / "bin")) or _unpacked(name)
        if path:
            found[name] = path
    return {name: path for name, path in found.items() if name != "helm" or len(found) == 1}


def _unpacked(name):
    """The program that lies compressed beside the starter of a cluster, which need not have started."""
    packed = STARTER / "bin" / f"{name}.xz"
    if not packed.exists():
        return None
    there = Path(tempfile.gettempdir()) / f"ntp-test-{name}-{packed.stat().st_size}"
    if not there.exists():
        with tempfile.NamedTemporaryFile(dir=there.parent, delete=False) as fresh:
            with lzma.open(packed) as content:
                shutil.copyfileobj(content, fresh)
            Path(fresh.name).chmod(0o755)
        Path(fresh.name).rename(there)
    return str(there)


def path_of(program=None):
    """Where a Helm is; skip, or fail where it is required, without it."""
    if not helms() or (program is not None and program not in helms()):
        absent("kubernetes", f"no {program or 'helm'} is here")
    return helms()[program] if program else [*helms().values()][-1]


def helm(*words, program=None, within_s=60):
    """What a Helm did; it may have refused."""
    return subprocess.run(
        [path_of(program), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def rendered(values=None, *, release="ntp", namespace="desk", program=None):
    """The objects, by (kind, name)."""
    words = ["template", release, CHART, "--namespace", namespace, "--kube-version", VERSION]
    if values:
        words += [
            "--set-json",
            ",".join(f"{key}={json.dumps(value)}" for key, value in values.items()),
        ]
    done = helm(*words, program=program)
    assert done.returncode == 0, done.stderr
    bodies = [each for each in yaml.safe_load_all(done.stdout) if each]
    found = {(each["kind"], each["metadata"]["name"]): each for each in bodies}
    assert len(found) == len(bodies), "two objects of one kind have one name"
    return found


def refusal(values, *, release="ntp"):
    """What Helm says instead of rendering."""
    words = ",".join(f"{key}={json.dumps(value)}" for key, value in values.items())
    more = ["--set-json", words] if values else []
    done = helm("template", release, CHART, "--kube-version", VERSION, *more)
    assert done.returncode, "it was rendered"
    return done.stderr


def pod_of(body):
    """The pod that a workload makes, or that it is; None: it is none."""
    if body["kind"] == "Pod":
        return body["spec"]
    return body.get("spec", {}).get("template", {}).get("spec")
