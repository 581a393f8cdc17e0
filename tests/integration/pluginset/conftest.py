"""A cluster that knows PluginSets."""

import json
from pathlib import Path

import pytest

from orchestrator.spec import source

ROOT = Path(__file__).parents[3]
DEFINITION = ROOT / "helm" / "ntp" / "crds" / "pluginset.yaml"


@pytest.fixture(scope="session")
def knowing(cluster):
    """The cluster, with the custom resource of this checkout."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", DEFINITION)
    cluster.kubectl(
        "wait", "--for=condition=Established", "crd/pluginsets.ntp.dev", "--timeout=30s"
    )
    return cluster


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
