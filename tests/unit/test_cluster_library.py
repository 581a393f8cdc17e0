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
