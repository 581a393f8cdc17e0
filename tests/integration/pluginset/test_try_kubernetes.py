"""`ntpctl release test` that is ended, cut off, or not alone; here no controller ever answers it."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.integration.pluginset.conftest import eventually


class Tries:
    """Of the release `ntp` in a namespace."""

    def __init__(self, cluster, namespace, folder):
        self.cluster = cluster
        self.namespace = namespace
        self.file = folder / "kubeconfig"
        self.file.write_text(cluster.run("kubectl", "config", "view", "--raw", "--flatten"))
        cluster.kubectl("--kubeconfig", self.file, "config", "set-context", "--current", f"--namespace={namespace}")  # fmt: skip

    @contextmanager
    def going(self):
        command = [sys.executable, "-m", "orchestrator", "release", "test", "--project", "ntp"]
        environment = {**self.cluster.environment, "KUBECONFIG": str(self.file)}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as ours:
            try:
                yield ours
            finally:
                ours.kill()

    def ended(self):
        """Its exit code, and what it said."""
        with self.going() as ours:
            _, said = ours.communicate(timeout=60)
            return ours.returncode, said

    def there(self):
        listed = self.cluster.kubectl("-n", self.namespace, "get", "pluginsets", "-o", "json")
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in json.loads(listed)["items"]}  # fmt: skip

    def annotate(self, ends):
        self.cluster.kubectl("-n", self.namespace, "annotate", "--overwrite", "pluginset", "ntp-try", f"ntp.dev/try-ends={ends}")  # fmt: skip

    @contextmanager
    def seen(self):
        """Lines, one for each change of a PluginSet, as soon as it is."""
        command = ["kubectl", "-n", self.namespace, "get", "pluginsets", "--watch", "-o", "name"]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.cluster.environment) as watch:  # fmt: skip
            try:
                yield watch.stdout
            finally:
                watch.kill()


@pytest.fixture
def tries(knowing, namespace, tmp_path):
    return Tries(knowing, namespace, tmp_path)


def test_what_it_added_goes_when_it_is_ended_while_adding(tries):
    with tries.seen() as seen, tries.going() as ours:
        assert "ntp-try" in seen.readline()
        ours.send_signal(signal.SIGTERM)
        assert ours.wait(60) == 128 + signal.SIGTERM
    assert tries.there() == {}


def test_one_that_runs_is_left_alone_and_one_that_was_cut_off_is_removed(tries):
    with tries.going() as ours:
        assert "no controller of ntp was ever in" in ours.stderr.readline()
        [before] = tries.there().items()
        code, said = tries.ended()
        assert (code, "ntp-try is there: another try of this release runs" in said) == (4, True), (
            said
        )
        assert "fix: wait for its end; from " in said
        assert [*tries.there().items()] == [before]
        ours.kill()
        ours.wait()
    assert [*tries.there().items()] == [before], "nothing removed it"
    tries.annotate("1000")
    with tries.going() as ours:
        assert "ntp-try is left of a try that was cut off" in ours.stderr.readline()
        eventually(lambda: not tries.there())
