"""What of the official client is imported."""

import json
import subprocess
import sys

PROGRAM = """
import json, sys
from orchestrator.cluster import library
made = library.client().ApiClient, library.config().load_kube_config
print(json.dumps([list(sys.modules), *(each.__module__ for each in made)]))
"""
BLOCKING = {
    "requests",
    "oauthlib",
    "urllib3",
    "websocket",
    "kubernetes.client",
    "kubernetes.config",
}


def test_the_blocking_half_of_it_is_not():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    imported, client, config = json.loads(done.stdout)
    assert client == "kubernetes.aio.client.api_client"
    assert config == "kubernetes.aio.config.kube_config"
    assert not BLOCKING & {*imported}


LATER = """
from orchestrator.cluster import library
ours = library.client()
import kubernetes
from kubernetes import aio, config
import kubernetes.aio.client
assert kubernetes.__version__ and aio.__version__
assert kubernetes.client.CoreV1Api.__module__.startswith("kubernetes.client.")
assert config.load_kube_config and aio.watch.Watch
assert kubernetes.aio.client is aio.client is ours, "there is one of each"
try:
    kubernetes.nothing
except AttributeError:
    print("whole")
"""


def test_who_imports_it_later_is_given_all_of_it():
    done = subprocess.run(
        [sys.executable, "-c", LATER], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("whole\n", "")
