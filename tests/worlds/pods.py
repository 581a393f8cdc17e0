"""Launches as a cluster's runtime is given them."""

from orchestrator.decide.state import Hashes
from orchestrator.launch import Launch
from orchestrator.spec.model import HostPort, Resources

ISSUED = 1_764_522_000_000
BROKER = HostPort("ntp-nats", 4222)


def launch(name, *hosts, project="shop", files=None):
    """A launch of a plugin that may reach the broker and these hosts."""
    return Launch(
        project=project,
        name=name,
        kind="data_source" if hosts else "strategy",
        generation=3,
        attempt=1,
        epoch=1,
        hashes=Hashes("", "", "", "", ""),
        spec=b"{}",
        argv=(),
        environment=None,
        code=None,
        files=files or {},
        resources=Resources(memory=1 << 28, cpu=1.0, pids=64, tmp=1 << 24),
        egress=(BROKER, *hosts),
        private=(BROKER,),
    )
