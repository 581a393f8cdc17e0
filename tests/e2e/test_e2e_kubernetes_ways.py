"""Other ways to have a release: Helm 3, three servers, a NATS of one's own, manifests; and data that outlives it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import yaml

from orchestrator.app.trying import ENDS, SPEC
from orchestrator.bus import server_binary
from tests.worlds.chart import ROOT
from tests.worlds.release import Release

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
STRATEGY = "momentum_strategy"


def trading(**replay):
    source = {"name": "replay_data", "config": {"symbols": ["BTCUSDT"], **replay}}
    return {
        "plugins": {
            "data_sources": [source],
            "strategies": [{"name": STRATEGY, "config": {"lookback": 4, "threshold": 0.6}}],
            "executors": [{"name": "paper_executor"}],
        }
    }


WITHOUT_END = trading(speed=20, loop=True)


@pytest.fixture
def release(knowing, tmp_path):
    with knowing.namespace() as namespace:
        yield Release(knowing, namespace, tmp_path, program="helm3")


def fills(release):
    return release.plugins()["paper_executor"]["report"].get(STRATEGY, {}).get("fills", 0)


def goes_on(release):
    """Wait for trades that were not there."""
    before = fills(release)
    release.until(lambda: fills(release) > before)


def own_kubeconfig(release, folder):
    """The environment of a person whose kubeconfig has the namespace of the release."""
    own = folder / "kubeconfig"
    if not own.exists():
        own.write_text(release.cluster.run("kubectl", "config", "view", "--raw", "--flatten"))
        release.cluster.kubectl("--kubeconfig", own, "config", "set-context", "--current", f"--namespace={release.namespace}")  # fmt: skip
    return {**release.cluster.environment, "KUBECONFIG": str(own)}


def from_here(release, tmp_path, *words):
    """What `ntpctl` says to such a person."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True,
        text=True,
        timeout=400,
        env=own_kubeconfig(release, tmp_path),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextmanager
def trying(release, tmp_path):
    """A try from here that goes on."""
    command = [sys.executable, "-m", "orchestrator", "release", "test", "--project", "ntp"]
    env = own_kubeconfig(release, tmp_path)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as ours:
        try:
            yield ours
        finally:
            ours.kill()


def tried(release):
    """The pods of a try."""
    return {name for name in release.pods() if name.startswith("try-")}


def leave_a_try(release, **annotations):
    metadata = {"name": "ntp-try", "annotations": annotations}
    body = {"apiVersion": "ntp.dev/v1alpha1", "kind": "PluginSet", "metadata": metadata, "spec": SPEC}  # fmt: skip
    release.kubectl("create", "-f", "-", stdin=json.dumps(body))


def test_a_release_without_plugins_is_tried_with_some_that_go_again(release, tmp_path):
    release.install({"defaults": None})
    # A leader has to come first: the test waits for it.
    assert "Succeeded" in release.helm("test", "ntp", within_s=400)
    assert release.get("pluginsets")["items"] == []

    with trying(release, tmp_path) as ours:
        # Once its pods are there, it may be over before one has looked.
        release.until(lambda: release.get("pluginsets")["items"])
        ours.send_signal(signal.SIGTERM)
        assert ours.wait(60) == 128 + signal.SIGTERM
    assert release.get("pluginsets")["items"] == []
    release.until(lambda: not tried(release))

    leave_a_try(release)
    release.until(lambda: {each["ready"] for each in release.plugins().values()} == {True})
    with trying(release, tmp_path) as ours:
        assert "ntp-try is left of a try that was cut off, and removed" in ours.stderr.readline()
        assert "try_signal, try_ticks: still there" in ours.stderr.readline()
        release.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=controller")
        _, said = ours.communicate(timeout=300)
        assert (ours.returncode, said.endswith("it works\n")) == (0, True), said
    assert release.get("pluginsets")["items"] == []


def test_a_try_that_fails_leaves_its_log(release):
    release.install({"defaults": None})
    # Of one that runs beside it, as far as anybody can see.
    leave_a_try(release, **{ENDS: str(round(time.time()) + 250)})
    with pytest.raises(subprocess.CalledProcessError) as failed:
        release.helm("test", "ntp", "--logs", within_s=400)
    assert "another try of this release runs" in failed.value.stdout
    assert "another try of this release runs" in release.kubectl("logs", "ntp-test")
    assert [each["metadata"]["name"] for each in release.get("pluginsets")["items"]] == ["ntp-try"]


def test_what_was_kept_is_found_by_another_installation_of_that_name(release):
    values = {**trading(speed=100), "keepData": True}
    release.install(values)
    release.until_ready(3)
    release.until(lambda: {each["state"] for each in release.plugins().values()} == {"Exhausted"})
    release.ntpctl("halt", STRATEGY)
    before = release.plugins()["paper_executor"]["report"]
    assert before[STRATEGY]["fills"] > 0
    release.helm("uninstall", "ntp")
    release.until(lambda: not release.pods())

    release.install(values)
    release.until_ready(3)
    release.until(lambda: {each["state"] for each in release.plugins().values()} == {"Exhausted"})
    found = release.plugins()
    assert found["paper_executor"]["report"] == before
    assert found[STRATEGY]["message"].startswith("halted by hand")

    release.upgrade({**values, "keepData": False})
    release.helm("uninstall", "ntp")
    release.until(lambda: not release.left())


def test_of_three_servers_any_may_go(release):
    release.install({**WITHOUT_END, "nats": {"replicas": 3}})
    release.until_ready(3)
    for number in range(3):
        goes_on(release)
        name = f"ntp-nats-{number}"
        before = release.pods()[name]
        release.kubectl("delete", "pod", name)
        goes_on(release)
        release.until(lambda name=name, before=before: release.pods().get(name, before) != before)
        release.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
    assert {each["restarts"] for each in release.plugins().values()} == {0}


@contextmanager
def their_nats(release, tmp_path, secret):
    """A server beside the cluster, that has what `ntpctl nats init --secret` says."""
    addresses = release.cluster.get("nodes")["items"][0]["status"]["addresses"]
    [host] = [each["address"] for each in addresses if each["type"] == "InternalIP"]
    told = release.kubectl("get", "secret", secret, "-o", r"go-template={{index .data `operator.conf` | base64decode}}")  # fmt: skip
    (tmp_path / "operator.conf").write_text(told)
    (tmp_path / "server.conf").write_text(
        f'server_name: "theirs"\nlisten: "{host}:-1"\ninclude "operator.conf"\n'
        f'ports_file_dir: "{tmp_path}"\n'
        f'resolver: {{ type: full, dir: "{tmp_path}/accounts", allow_delete: true }}\n'
        f'jetstream: {{ store_dir: "{tmp_path}/store", sync_interval: always }}\n'
    )
    program = [server_binary.find(), "-c", tmp_path / "server.conf", "-l", tmp_path / "nats.log"]
    with subprocess.Popen(program) as server:
        try:
            [ports] = release.until(lambda: [*tmp_path.glob("*.ports")])
            yield json.loads(ports.read_text())["nats"][0]
        finally:
            server.terminate()


def test_plugins_trade_over_a_nats_of_one_s_own_whose_keys_no_uninstall_removes(release, tmp_path):
    from_here(release, tmp_path, "nats", "init", "--secret", "their-nats", "--project", "ntp")
    with their_nats(release, tmp_path, "their-nats") as address:
        release.install({**WITHOUT_END, "nats": {"external": address, "keysSecret": "their-nats"}})
        release.until_ready(3)
        goes_on(release)
        release.helm("uninstall", "ntp")
        release.until(lambda: release.left() == ["secret/their-nats"])


def test_manifests_install_and_are_removed_without_helm(release, tmp_path):
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        # As docs/kubernetes.md has it: `namespace:` alone leaves the accounts of the RoleBindings where they were.
        "transformers": [yaml.safe_dump({
            "apiVersion": "builtin", "kind": "NamespaceTransformer",
            "metadata": {"name": "all", "namespace": release.namespace},
            "setRoleBindingSubjects": "allServiceAccounts",
            "fieldSpecs": [{"path": "metadata/namespace", "create": True}],
        })],
        "resources": [os.path.relpath(ROOT / "manifests", tmp_path)],
        "components": [os.path.relpath(ROOT / "dist" / "cluster", tmp_path)],
        # The namespace is the test's own, and the kind is there.
        "patches": [
            {"target": {"kind": kind}, "patch": f"$patch: delete\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: any}}"}
            for kind, version in (("Namespace", "v1"), ("CustomResourceDefinition", "apiextensions.k8s.io/v1"))
        ],
    }  # fmt: skip
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    release.kubectl("apply", "-k", tmp_path)
    assert "it works" in from_here(release, tmp_path, "release", "test", "--project", "ntp")
    from_here(release, tmp_path, "release", "remove", "--project", "ntp")
    release.kubectl("delete", "-k", tmp_path)
    release.until(lambda: not release.left())
