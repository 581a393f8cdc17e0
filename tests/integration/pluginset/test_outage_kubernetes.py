"""Losing the API server stops nothing: who leads ends to lead, what runs runs on, and all is taken up again."""

import json
import socket
import threading
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest
import yaml

from tests.integration.pluginset.conftest import eventually


class Line:
    """A line to an API server that can be cut and mended."""

    def __init__(self, host, port):
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs = []
        self.whole = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self.whole = False
        for each in self._pairs:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self.whole = True

    def _accept(self):
        with closing(self._listener):
            while True:
                near, _ = self._listener.accept()
                if not self.whole:
                    near.close()
                    continue
                far = socket.create_connection(self._to)
                self._pairs += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one, other):
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(environment, knowing, tmp_path):
    """What the controller goes through; `environment` leads there."""
    with open(knowing.kubeconfig, encoding="utf-8") as file:  # noqa: PTH123
        config = yaml.safe_load(file)
    cluster = config["clusters"][0]["cluster"]
    place = urlsplit(cluster["server"])
    line = Line(place.hostname, place.port)
    cluster["server"] = f"https://127.0.0.1:{line.port}"
    cluster["tls-server-name"] = place.hostname
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(config))
    environment["KUBECONFIG"] = str(own)
    return line


def test_an_api_server_that_is_away_stops_nothing_and_is_taken_up_again(
    line, controller, write, kubectl
):
    one = controller()
    assert one.told() == "leads 1"
    write()
    eventually(lambda: one.ask("sorted(machine.running())") == "['broker', 'feed', 'momentum']")
    # That they run is seen some looks before they are told to be ready.
    eventually(lambda: ready(kubectl) == "2/2")
    eventually(lambda: one.ask("store.pending") == "0")
    line.cut()
    assert one.ask("sorted(machine.running())") == "['broker', 'feed', 'momentum']"
    assert one.told() == "leads no longer", "after ten seconds without a renewal"
    line.mend()
    # It is the process that had the lease: nobody has to be waited for.
    assert one.told() == "leads 2"
    assert one.ask("sorted(machine.running())") == "['broker', 'feed', 'momentum']"
    assert one.ask("machine.lives") == "3", "each was started once"
    eventually(lambda: ready(kubectl) == "2/2")


def ready(kubectl):
    status = json.loads(kubectl("get", "pset", "desk", "-o", "json")).get("status") or {}
    return status.get("ready")
