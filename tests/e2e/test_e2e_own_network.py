"""An entry with a network of its own, as a user has it: apply, status, events, a hand at it, down."""

import os
import subprocess
from contextlib import suppress

import pytest

from tests.e2e.test_e2e_docker import Boxed
from tests.worlds import internet

pytestmark = [
    pytest.mark.docker,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.long,
    pytest.mark.timeout(400),
]
PLUGIN = '''
import asyncio
import socket
from datetime import datetime

from ntp import DataSourcePlugin, MarketData, PluginMetadata


class FastData(DataSourcePlugin):
    """Asks by UDP, which no door hands out."""

    def get_metadata(self):
        return PluginMetadata("fast_data", "1.0.0", "me", "Asks by UDP.", [], {"at": "str"})

    async def stream(self):
        host, port = self.config["at"].split(":")
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
                link.settimeout(2)
                try:
                    link.connect((host, int(port)))
                    link.send(b"?")
                    print("heard", link.recv(100).decode())
                    yield MarketData(datetime.now(), "BTCUSDT", 1.0, 1.0)
                except OSError as error:
                    print("heard", type(error).__name__)
            with socket.socket() as link:
                link.settimeout(2)
                print("elsewhere", link.connect_ex(("9.9.1.3", int(port))))
            await asyncio.sleep(0.5)
'''
FILE = f"""
name: boxed
plugins:
  data_sources:
    - name: fast_data
      config: {{at: "{internet.PUBLIC}:{internet.PORT}"}}
      network: {{mode: own, egress: ["{internet.PUBLIC}:{internet.PORT}"]}}
"""


@pytest.fixture(scope="module")
def engine():
    made = internet.InternetEngine()
    try:
        made.environment()
        with made.machine.entered():
            yield made
    finally:
        made.close()


@pytest.fixture
def boxed(tmp_path, cache, engine):
    made = Boxed(tmp_path, cache, engine)
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "fast_data.py").write_text(PLUGIN)
    made.environment["PLUGIN_DIR"] = str(plugins)
    made.declare(FILE)
    try:
        yield made
    finally:
        made.ntpctl("down", "--delete-data", "--yes", exit_code=None)


def another(boxed, name, container):
    """Whether another container of that name runs than the one before."""
    with suppress(subprocess.CalledProcessError):
        found = boxed.engine.inspect(name)
        return found["State"]["Running"] and found["Id"] != container
    return False


def test_it_is_applied_disturbed_mended_and_taken_down(boxed):
    told = boxed.ntpctl("plan", exit_code=6).stdout
    assert f"may reach fast_data  {internet.PUBLIC}:{internet.PORT}" in told
    boxed.environment["NTP_RUNTIME"] = "process"
    refused = boxed.ntpctl("validate", exit_code=2)
    assert "plugins.yaml:7:17: mode was own, which needs containers" in refused.stderr
    boxed.environment["NTP_RUNTIME"] = "docker"

    boxed.ntpctl("apply")
    ready = boxed.until(lambda status: (status["fast_data"]["flow"] or {}).get("sent", 0) > 3)
    before = ready["fast_data"]
    assert (
        "a network of its own, and in it only the hosts that its entry declares"
        in before["isolation"]["active"]
    )
    boxed.until(lambda status: status["fast_data"]["egress_refused"].get("other hosts", 0) > 0)
    assert "may not reach other hosts" in boxed.ntpctl("status").stdout

    listed = boxed.engine.run("network", "ls", "--format", "{{.Name}}").split()
    [bridge] = [name for name in listed if name.startswith("ntp-")]
    plugin = bridge.removesuffix("-bridge-")
    holder, container = f"{plugin}-network-", boxed.engine.inspect(plugin)["Id"]
    boxed.engine.run("network", "disconnect", bridge, holder)
    sent = boxed.status()["fast_data"]["flow"]["sent"]
    boxed.until(lambda status: status["fast_data"]["flow"]["sent"] > sent + 3)
    assert boxed.engine.inspect(plugin)["Id"] == container, "mended in place"
    events = boxed.ntpctl("events", "fast_data").stdout
    print(events)
    assert f"somebody else changed its network: it was disconnected from {bridge}" in events

    boxed.engine.run("rm", "--force", holder)
    boxed.until(lambda _: another(boxed, plugin, container))
    events = boxed.ntpctl("events", "fast_data").stdout
    print(events)
    assert "NetworkLost: somebody removed the container that holds its network" in events
    boxed.until(lambda status: status["fast_data"]["ready"])

    boxed.ntpctl("down", "--delete-data", "--yes")
    mark = "label=io.ntp.owner"
    assert boxed.engine.run("network", "ls", "--quiet", "--filter", mark) == ""
    assert boxed.engine.run("ps", "--all", "--quiet", "--filter", mark) == ""
