"""A person works with a controller on a cluster as with one on this machine: by `ntpctl --context`."""

import json
import signal

import pytest
import yaml

from orchestrator.app import cluster_target
from orchestrator.app.reach import Reached
from orchestrator.errors import ConflictError
from tests.integration.pluginset.conftest import FLEET, eventually

RUNS = "sorted(machine.running())"


@pytest.fixture
def file(tmp_path):
    """plugins.yaml of a project that is called desk."""

    def file(text=FLEET):
        (tmp_path / "plugins.yaml").write_text(f"name: desk\n{text}")

    file()
    return file


@pytest.fixture
def one(controller):
    one = controller()
    assert one.told() == "leads 1"
    return one


def test_apply_writes_a_plugin_set_waits_and_prints_what_it_prints_on_one_machine(
    one, ntpctl, file, kubectl
):
    assert "+ start     momentum" in ntpctl("plan", code=6).stdout
    done = ntpctl("apply", "--yes")
    assert "+ start     momentum" in done.stdout
    assert "revision 1: 2/2 ready" in done.stderr
    assert kubectl("get", "pset", "-o", "name").strip() == "pluginset.ntp.dev/desk"
    assert one.ask(RUNS) == "['broker', 'feed', 'momentum']"
    assert "nothing to do: 2 run as declared" in ntpctl("plan").stdout
    file(FLEET.replace("lookback: 14", "lookback: 20"))
    assert "~ recreate  momentum" in ntpctl("plan", code=6).stdout
    outcome = json.loads(ntpctl("apply", "--yes", "-o", "json").stdout)
    assert outcome["ready"]
    assert [each["name"] for each in outcome["plugins"]] == ["feed", "momentum"]


def test_commands_reach_the_leader(one, ntpctl, file):
    ntpctl("apply", "--yes")
    status = json.loads(ntpctl("status", "-o", "json").stdout)
    assert {each["name"] for each in status["plugins"]} == {"feed", "momentum"}
    assert ntpctl("restart", "momentum").returncode == 0
    ntpctl("stop", "momentum")
    assert one.ask(RUNS) == "['broker', 'feed']"
    assert "1 stopped by hand" in ntpctl("apply", "--yes").stderr
    ntpctl("start", "momentum")
    assert "StoppedByHand" in ntpctl("events").stdout
    assert "1" in ntpctl("history").stdout
    assert "lookback: 14" in ntpctl("history", "1", "--show").stdout
    for name in ("logs", "momentum"), ("diff",), ("top", "--once"):
        ntpctl(*name, code=6 if name == ("diff",) else 0)


def test_mistakes_have_the_places_of_the_persons_own_file_and_nothing_is_written(
    one, ntpctl, file, kubectl
):
    file(FLEET.replace("lookback: 14}", "lookback: 14}, inputs: [fed]"))
    done = ntpctl("apply", "--yes", code=2)
    assert "plugins.yaml:7:" in done.stderr
    assert "did you mean 'feed'" in done.stderr
    assert ntpctl("validate", code=2).stderr.startswith("plugins.yaml:7:")
    assert kubectl("get", "pset", "-o", "name") == ""


@pytest.fixture
def aim(knowing, namespace, tmp_path, monkeypatch):
    """The PluginSet desk, as a command has it before it."""
    monkeypatch.setenv("KUBECONFIG", knowing.kubeconfig)
    there = Reached(None, namespace, tmp_path)
    yield cluster_target.Target(there, "desk")
    there.close()


def test_a_state_that_is_told_meanwhile_refuses_nobody_and_a_change_does(write, kubectl, aim):
    def patch(body, *words):
        kubectl("patch", "pset", "desk", "--type=merge", "-p", json.dumps(body), *words)

    def lookback(number):
        text = FLEET.replace("lookback: 14", f"lookback: {number}")
        terms = {"allow_deletes": False, "take_over": True}
        cluster_target.write(aim, yaml.safe_load(text), **terms)
        return kubectl("get", "pset", "desk", "-o", "jsonpath={.spec.plugins.strategies}")

    write()
    aim.look()
    patch({"status": {"ready": "1/2"}}, "--subresource=status")
    assert '"lookback":20' in lookback(20)
    patch({"metadata": {"labels": {"of": "colleague"}}})
    with pytest.raises(ConflictError, match="changed meanwhile: nothing was changed"):
        lookback(30)


def test_what_somebody_else_changed_is_not_written_over(one, ntpctl, file, kubectl):
    ntpctl("apply", "--yes")
    patch = '[{"op": "replace", "path": "/spec/plugins/strategies/0/config/lookback", "value": 30}]'
    kubectl("patch", "pset", "desk", "--type=json", "-p", patch, "--field-manager=colleague")
    file(FLEET.replace("lookback: 14", "lookback: 20"))
    refused = ntpctl("apply", "--yes", code=4).stderr
    assert "PluginSet desk was changed by colleague; nothing was changed" in refused
    assert "--take-over" in refused
    assert '"lookback":30' in kubectl("get", "pset", "desk", "-o", "json", "-o", "jsonpath={.spec}")
    ntpctl("apply", "--yes", "--take-over")
    assert '"lookback":20' in kubectl("get", "pset", "desk", "-o", "jsonpath={.spec}")


OWNED = {
    "Argo CD (desk-app)": (
        "annotate",
        "argocd.argoproj.io/tracking-id=desk-app:ntp.dev/PluginSet:x/desk",
    ),
    "Flux (desks)": ("label", "kustomize.toolkit.fluxcd.io/name=desks"),
}


def test_an_owner_is_respected_and_the_patch_for_him_is_printed(one, ntpctl, file, kubectl):
    ntpctl("apply", "--yes")
    file(FLEET.replace("lookback: 14", "lookback: 20"))
    ntpctl("apply", "--yes")
    for named, (verb, words) in OWNED.items():
        file(FLEET.replace("lookback: 14", "lookback: 21"))
        kubectl(verb, "pset", "desk", words)
        refused = ntpctl("apply", "--yes", code=4).stderr
        assert f"belongs to {named}, who would undo this; nothing was changed" in refused
        assert "-        lookback: 20\n+        lookback: 21" in refused
        kubectl(verb, "pset", "desk", f"{words.partition('=')[0]}-")
    kubectl(*OWNED["Flux (desks)"][:1], "pset", "desk", OWNED["Flux (desks)"][1])
    back = ntpctl("rollback", "1", "--yes", code=4).stderr
    assert "belongs to Flux (desks)" in back
    assert "-        lookback: 20\n+        lookback: 14" in back
    file(FLEET.replace("lookback: 14", "lookback: 20"))
    assert "nothing to do" in ntpctl("apply", "--yes").stdout, "what changes nothing is no matter"


def test_rollback_writes_the_old_spec(one, ntpctl, file, kubectl):
    ntpctl("apply", "--yes")
    file(FLEET.replace("lookback: 14", "lookback: 20"))
    ntpctl("apply", "--yes")
    done = ntpctl("rollback", "--yes")
    assert "as in revision 1: 2/2 ready" in done.stderr
    assert '"lookback":14' in kubectl("get", "pset", "desk", "-o", "jsonpath={.spec}")
    assert '"lookback":14' in one.ask("machine.launches['momentum'].files['launch.json'].decode()")


@pytest.mark.usefixtures("file")
def test_rollback_brings_back_what_moved_from_one_set_to_another_and_leaves_what_was_made_since(
    one, ntpctl, kubectl, write
):
    def ready(name):
        kubectl("wait", "--for=condition=Ready", f"pset/{name}", "--timeout=60s")

    both, momentum = yaml.safe_load(FLEET), yaml.safe_load(FLEET)
    del momentum["plugins"]["data_sources"]
    feed = {"plugins": {"data_sources": both["plugins"]["data_sources"]}}
    write(yaml.safe_dump(both))
    write("plugins: {strategies: [{name: bollinger}]}", name="more")
    ready("more")
    then = str(json.loads(ntpctl("status", "-o", "json").stdout)["revision"])
    write(yaml.safe_dump(feed))
    ready("desk")
    momentum["plugins"]["strategies"].append({"name": "bollinger"})
    write(yaml.safe_dump(momentum), name="more")
    write("plugins: {strategies: [{name: late, plugin: bollinger}]}", name="newest")
    ready("newest")
    done = ntpctl("rollback", then, "--yes", "--take-over")
    assert f"PluginSet newest was made after revision {then}: it stays as it is" in done.stderr
    assert f"as in revision {then}: 3/3 ready" in done.stderr
    assert one.ask(RUNS) == "['bollinger', 'broker', 'feed', 'late', 'momentum']"
    assert "momentum" in kubectl("get", "pset", "desk", "-o", "jsonpath={.spec}")
    assert "momentum" not in kubectl("get", "pset", "more", "-o", "jsonpath={.spec}")


def test_a_deletion_that_is_guarded_is_told_and_a_flag_allows_it(one, ntpctl, file):
    ntpctl("apply", "--yes")
    file("plugins: {}\n")
    refused = ntpctl("apply", "--yes", code=5).stderr
    assert "--allow-deletes" in refused
    assert one.ask(RUNS) == "['broker', 'feed', 'momentum']"
    ntpctl("apply", "--yes", "--allow-deletes")
    eventually(lambda: one.ask(RUNS) == "[]")


def test_an_apply_waits_for_whoever_takes_over(one, controller, ntpctl, file):
    ntpctl("apply", "--yes")
    two = controller("two")
    one.process.send_signal(signal.SIGSTOP)
    assert two.told() == "leads 2"
    file(FLEET.replace("lookback: 14", "lookback: 20"))
    assert "2/2 ready" in ntpctl("apply", "--yes", name="two").stderr
    one.process.send_signal(signal.SIGCONT)
    assert one.told() == "leads no longer"
    assert ntpctl("status", name="two").returncode == 0
    two.process.terminate()
    assert two.told() == "leads no longer"
    assert one.told() == "leads 3", "it waited its turn, and a lease that was given back is free"


def test_a_kubeconfig_that_is_wrong_is_told_with_a_fix(
    ntpctl, knowing, environment, tmp_path, kubectl
):
    none = ntpctl("--context", "nowhere", "status", code=2).stderr
    assert "context 'nowhere' cannot be used" in none
    assert "fix: name one of those that `kubectl config get-contexts` lists" in none
    nobody = ntpctl("status", code=3).stderr
    assert f"ever in namespace '{environment['NTP_NAMESPACE']}'" in nobody
    assert "fix: `helm install ntp helm/ntp`" in nobody
    other = ntpctl("demo", code=2).stderr
    assert "'demo' is for this machine" in other
    with open(knowing.kubeconfig, encoding="utf-8") as file:  # noqa: PTH123
        good = file.read()
    own = tmp_path / "kubeconfig"
    environment["KUBECONFIG"] = str(own)
    kubectl("create", "serviceaccount", "poor")
    token = kubectl("create", "token", "poor").strip()
    for text, code, words, fix in (
        ("", 2, "the file is no kubeconfig", "`kubectl config view`"),
        ("a: [", 2, "the file is no kubeconfig: while parsing", "`kubectl config view`"),
        (elsewhere(good), 3, "cannot be reached", "`kubectl --context local version`"),
        (as_token(good, "nonsense"), 5, "Unauthorized", "log in to the cluster again"),
        (as_token(good, token), 5, "cannot list resource", "`kubectl auth can-i --list`"),
    ):
        own.write_text(text)
        told = ntpctl("status", code=code).stderr
        assert words in told
        assert fix in told


def elsewhere(text):
    config = yaml.safe_load(text)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    return yaml.safe_dump(config)


def as_token(text, token):
    config = yaml.safe_load(text)
    config["users"][0]["user"] = {"token": token}
    return yaml.safe_dump(config)
