"""The Binance source that a user wrote, with its fixed address: under the real name at a local exchange."""

import os
import re
import shutil
from pathlib import Path

import pytest
import trustme

from tests.worlds.local_exchange import exchange

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the full sandbox needs root here"),
    pytest.mark.timeout(240),
]

USERS = Path(__file__).parents[1] / "fixtures" / "plugins" / "user_binance.py"
NAME = "stream.binance.com"
FILE = """
plugins:
  data_sources:
    - name: binance_data
      enabled: true
      config: {stream_url: "wss://stream.binance.com:9443/ws", symbols: ["BTCUSDT", "ETHUSDT"]}
  strategies:
    - name: bollinger_strategy
      enabled: true
      config: {period: 20, std_dev: 2.0, position_size: 0.02}
"""


@pytest.fixture
def at_exchange(project):
    """The project, whose file PLUGIN_DIR/binance_data.py is the user's, and a CA that signed the name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(project.folder / "ca.pem")
    certificate = authority.issue_cert(NAME)
    certificate.private_key_pem.write_to_path(project.folder / "server.key")
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
    (project.folder / "server.pem").write_bytes(chain)
    plugins = project.folder / "plugins"
    plugins.mkdir()
    shutil.copy(USERS, plugins / "binance_data.py")
    project.environment["PLUGIN_DIR"] = str(plugins)
    project.declare(FILE)
    files = {f"--tls-{kind}": project.folder / f"server.{end}" for kind, end in (("cert", "pem"), ("key", "key"))}  # fmt: skip
    with exchange("--loop", *(str(word) for pair in files.items() for word in pair)) as running:
        port = running.at.rpartition(":")[2]
        (project.folder / ".env").write_text(
            f"NTP_EGRESS_MAP={NAME}:9443=127.0.0.1:{port}\nNTP_EGRESS_CA=ca.pem\n"
        )
        yield project, f"127.0.0.1:{port}"


def test_the_users_own_source_reaches_it_by_the_real_name_and_trusts_only_its_ca(at_exchange):
    project, address = at_exchange
    loud = f"NOT THE REAL HOST, by NTP_EGRESS_MAP: binance_data reaches {address} in place of {NAME}:9443"  # fmt: skip
    planned = project.ntpctl("plan", exit_code=6)
    assert re.search(rf"may reach +binance_data +{NAME}:9443 -> {address}\n", planned.stdout)
    assert loud in planned.stderr

    applied = project.ntpctl("apply")
    assert loud in applied.stderr
    seen = project.until(
        lambda status: all(
            (each["flow"] or {}).get("sent" if name == "binance_data" else "received", 0) > 20
            for name, each in status.items()
        )
    )
    source = seen["binance_data"]
    assert source["isolation"]["tier"] == 3
    assert (source["egress"], source["egress_refused"]) == ([f"{NAME}:9443"], {})
    assert source["egress_mapped"] == {f"{NAME}:9443": address}
    assert source["flow"]["refused"] == 0
    assert seen["bollinger_strategy"]["egress_mapped"] == {}
    for command in (["status"], ["status", "binance_data"]):
        assert loud in project.ntpctl(*command).stderr

    trustme.CA().cert_pem.write_to_path(project.folder / "ca.pem")
    planned = project.ntpctl("plan", exit_code=6)
    assert re.search(r"~ recreate +binance_data +egress \+stream.* trusting \w+ -stream", planned.stdout)  # fmt: skip
    project.ntpctl("apply", "--no-wait")
    refused = project.until(lambda status: status["binance_data"]["state"] == "ConnectFailed")
    words = "the certificate of the other side is not trusted: unable to get local issuer"
    assert words in refused["binance_data"]["message"]
    assert refused["bollinger_strategy"]["ready"]

    (project.folder / ".env").unlink()
    quiet = project.ntpctl("apply", "--no-wait")
    assert "NOT THE REAL HOST" not in quiet.stderr
    real = project.until(lambda status: status["binance_data"]["egress_mapped"] == {})
    assert real["binance_data"]["egress"] == [f"{NAME}:9443"]
