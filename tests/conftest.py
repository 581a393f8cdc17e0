"""What holds for all tests."""

import gc
import os
import signal

import pytest
from xdist.scheduler import LoadScopeScheduling

# A shell starts what runs in its background (`make test &`) with Ctrl-C ignored, and every program that a
# test starts, and then ends by SIGINT, would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The machine of a test may have an engine; a test that means Docker says so.
os.environ.setdefault("NTP_RUNTIME", "process")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with what takes longest: several workers then end at about the same time.

    Which file of a group is first stays a matter of chance.
    """
    items.sort(key=_haste)


def _haste(item):
    if _needs_engine(item.nodeid):
        return 0
    if {"e2e", "ports"} & set(item.path.parts):
        return 1
    return 2 if "integration" in item.path.parts else 3


def _needs_engine(nodeid):
    return "docker" in nodeid or "/oci/" in nodeid


def _needs_cluster(nodeid):
    return "kubernetes" in nodeid


class Together(LoadScopeScheduling):
    """A file stays with one worker; so do all with a Docker Engine, and all with a Kubernetes: each starts once."""

    def _split_scope(self, nodeid):
        if _needs_cluster(nodeid):
            return "kubernetes"
        return "docker" if _needs_engine(nodeid) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config, log):
    return Together(config, log)


@pytest.fixture(scope="module", autouse=True)
def _garbage():
    """A file that leaves something open fails by itself: later it would be whichever test collects it."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def engine():
    """A Docker Engine; without one the tests that need it are skipped, or fail with NTP_REQUIRE=docker."""
    from tests.worlds.engine import AbsentEngineError, find
    from tests.worlds.environment import absent

    try:
        found = find()
        found.environment()
    except AbsentEngineError as error:
        absent("docker", str(error))
    yield found
    found.close()


@pytest.fixture(scope="session")
def cluster():
    """A Kubernetes; without one the tests that need it are skipped, or fail with NTP_REQUIRE=kubernetes."""
    from tests.worlds.cluster import AbsentClusterError, found
    from tests.worlds.environment import absent

    try:
        with found() as there:
            yield there
    except AbsentClusterError as error:
        absent("kubernetes", str(error))


@pytest.fixture(scope="session")
def knowing(cluster):
    """The cluster, with the custom resource of this checkout."""
    cluster.define()
    return cluster


@pytest.fixture
def namespace(cluster):
    """A namespace of this test's own under the restricted Pod Security Standard."""
    with cluster.namespace() as name:
        yield name
