"""A plugin that requires five clients of other people, as a user has it on Docker: in its own image."""

import json
import shutil
from pathlib import Path

import pytest
import trustme

from tests.e2e.test_e2e_docker import Boxed
from tests.worlds.tls_exchange import TIME, tls_exchange

pytestmark = [
    pytest.mark.docker,
    pytest.mark.network,
    pytest.mark.long,
    pytest.mark.timeout(600),
]
CLIENTS = Path(__file__).parents[1] / "fixtures" / "plugins" / "five_clients.py"
HEARD = {**dict.fromkeys(("websockets", "httpx", "aiohttp", "requests"), TIME), "ccxt": "1700000000000"}  # fmt: skip
PLACES = ("exchange.test:443", "other.test:443", "elsewhere.test:443")
FILE = f"""
name: boxed
plugins:
  data_sources:
    - name: five_clients
      config: {{places: {json.dumps(PLACES)}}}
      network: {{egress: {json.dumps(PLACES[:2])}}}
"""


@pytest.fixture
def boxed(tmp_path, cache, engine):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("exchange.test")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    (tmp_path / "chain").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    (tmp_path / "plugins").mkdir()
    shutil.copy(CLIENTS, tmp_path / "plugins")
    made = Boxed(tmp_path, cache, engine)
    made.environment["PLUGIN_DIR"] = str(tmp_path / "plugins")
    made.declare(FILE)
    with tls_exchange(tmp_path / "chain", tmp_path / "key") as port:
        led = ",".join(f"{place}=127.0.0.1:{port}" for place in PLACES[:2])
        (tmp_path / ".env").write_text(f"NTP_EGRESS_MAP={led}\nNTP_EGRESS_CA=ca.pem\n")
        try:
            yield made
        finally:
            made.ntpctl("down", "--delete-data", "--yes", exit_code=None)


def test_what_it_requires_is_in_its_image_and_status_shows_what_was_refused(boxed):
    boxed.ntpctl("apply", timeout=400)
    boxed.until(lambda _: "through" in boxed.ntpctl("logs", "five_clients").stdout, within=120)
    said = boxed.ntpctl("logs", "five_clients").stdout.splitlines()
    found = [json.loads(line[line.index("{") :]) for line in said if '"place"' in line]
    heard = {each["place"]: each["heard"] for each in found}
    assert heard[PLACES[0]] == HEARD
    assert all("certificate verify failed" in why for why in heard[PLACES[1]].values())
    assert all("is refused" in why for why in heard[PLACES[2]].values())
    refused = boxed.status()["five_clients"]["egress_refused"]
    assert refused.keys() == {PLACES[2]}
    assert refused[PLACES[2]] >= len(HEARD)
    assert f"may not reach {PLACES[2]}" in boxed.ntpctl("status").stdout
