"""The proxy's helper as Squid runs it, while a name server hangs."""

import os
import select
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from orchestrator.runtime.kubernetes.tokens import Signer
from orchestrator.spec.model import HostPort
from tests.worlds.egress_proxy import FOLDER, SDK
from tests.worlds.pods import ISSUED, launch

WITHIN_S = 20
CHILD = """
import sys, time, pathlib
sys.path.insert(0, sys.argv[1])
import allow
allow.RESOLVE_S = 0.05
folder = pathlib.Path(sys.argv[2])
def look_up(host, port):
    end = time.monotonic() + 60
    while host == "hangs.test" and not (folder / "go").exists() and time.monotonic() < end:
        time.sleep(0.01)
    return [(2, "1.1.1.1")], 0, ""
allow.Helper(allow.Rules(folder), look_up).run()
"""


class Helper:
    def __init__(self, process, folder, signer):
        self._process = process
        self._folder = folder
        self._signer = signer
        self._asked = 0

    def ask(self, name, host):
        """Its answer: OK, or the kind of no."""
        asks = replace(launch(name), egress=(HostPort(host, 443),))
        token = self._signer.token(asks, issued=ISSUED).decode()
        self._asked += 1
        os.write(self._process.stdin.fileno(), f"{self._asked} {host}:443 Bearer%20{token}\n".encode())  # fmt: skip
        assert select.select([self._process.stdout], [], [], WITHIN_S)[0], "no answer"
        channel, result, *fields = os.read(self._process.stdout.fileno(), 65536).decode().split()
        assert channel == str(self._asked)
        said = dict(each.partition("=")[::2] for each in fields)
        return result if result == "OK" else said["answer"]

    def resolves(self):
        (self._folder / "go").touch()


@pytest.fixture
def helper(tmp_path):
    signer = Signer(b"k" * 32)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/keys").write_text(signer.line("shop"))
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(FOLDER), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": str(SDK)},
    ) as process:
        made = Helper(process, tmp_path, signer)
        yield made
        made.resolves()
        process.stdin.close()
        assert process.wait(WITHIN_S) == 0


def test_names_that_hang_hold_no_more_than_their_plugins_share_of_the_resolvers(helper):
    assert [helper.ask("greedy", "hangs.test") for _ in range(4)] == ["unresolved"] * 4
    assert [helper.ask("greedy", "hangs.test") for _ in range(20)] == ["busy"] * 20
    assert helper.ask("calm", "free.test") == "OK"
    helper.resolves()
    end = time.monotonic() + WITHIN_S
    while helper.ask("greedy", "hangs.test") != "OK":
        assert time.monotonic() < end, "it never had its share again"
