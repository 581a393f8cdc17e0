"""A controller makes what runs equal to the PluginSets of its namespace, and says what became of each."""

import json

import pytest

from tests.integration.pluginset.conftest import FLEET, eventually


@pytest.fixture
def conditions(knowing, namespace):
    """The conditions of a PluginSet by their types, once its newest generation was read."""

    def conditions(name="desk", **wanted):
        def look():
            body = knowing.get("-n", namespace, "pluginset", name)
            status = body.get("status", {})
            if status.get("observedGeneration") != body["metadata"]["generation"]:
                return None
            found = {each["type"]: each for each in status["conditions"]}
            if any(found[type_]["status"] != status for type_, status in wanted.items()):
                return None
            return {**found, "status": status}

        return eventually(look)

    return conditions


def test_what_is_written_runs_and_its_status_says_so(controller, write, conditions, kubectl):
    one = controller()
    assert one.told() == "leads 1"
    write()
    found = conditions(Ready="True")
    assert found["Ready"]["reason"] == "AllReady"
    assert found["Reconciling"]["status"] == found["Stalled"]["status"] == "False"
    assert found["status"]["ready"] == "2/2"
    assert [each["name"] for each in found["status"]["plugins"]] == ["feed", "momentum"]
    assert one.ask("sorted(machine.running())") == "['broker', 'feed', 'momentum']"
    row = kubectl("get", "pset").splitlines()[1].split()
    assert row[:4] == ["desk", "True", "2/2", "AllReady"]
    assert kubectl("wait", "pset/desk", "--for=condition=Ready", "--timeout=10s")


def test_nothing_changed_is_nothing_written(controller, write, conditions, kubectl, namespace):
    one = controller()
    assert one.told() == "leads 1"
    write()
    conditions(Ready="True")
    eventually(lambda: one.ask("store.pending") == "0")
    version = kubectl("get", "pset/desk", "-o", "jsonpath={.metadata.resourceVersion}")
    writes = one.ask("store.writes")
    for _ in range(20):
        one.ask("machine.touch()")  # a look at the runtime, and a pass
    assert one.ask("store.writes") == writes
    assert kubectl("get", "pset/desk", "-o", "jsonpath={.metadata.resourceVersion}") == version


def test_a_mistake_of_its_meaning_is_told_with_its_field_and_stops_nothing(
    controller, write, conditions, kubectl
):
    one = controller()
    one.told()
    write()
    conditions(Ready="True")
    write(FLEET.replace("name: momentum,", "name: momentum, inputs: [fed],"))
    found = conditions(Stalled="True")
    assert found["Ready"]["reason"] == "Invalid"
    assert "spec.plugins.strategies[0].inputs[0]" in found["Stalled"]["message"]
    assert found["status"]["problems"][0]["fix"]
    assert one.ask("sorted(machine.running())") == "['broker', 'feed', 'momentum']"
    eventually(lambda: "inputs[0]" in kubectl("describe", "pset", "desk"))
    events = kubectl("get", "events", "-o", "custom-columns=R:.reason,M:.message").splitlines()
    assert any(each.startswith("FileInvalid") for each in events), events


def test_all_of_a_namespace_add_up_and_a_name_that_is_twice_names_both(
    controller, write, conditions
):
    one = controller()
    one.told()
    write()
    write("plugins: {strategies: [{name: bollinger}]}", name="more")
    conditions("more", Ready="True")
    assert one.ask("sorted(machine.running())") == "['bollinger', 'broker', 'feed', 'momentum']"
    write("plugins: {strategies: [{name: momentum}]}", name="more")
    told = conditions("more", Stalled="True")["Stalled"]["message"]
    assert "the name 'momentum' is taken, by pluginset/desk" in told
    first = conditions("desk", Stalled="True")["Stalled"]["message"]
    assert first == "nothing of this namespace is applied until pluginset/more has no problem"
    assert one.ask("sorted(machine.running())") == "['bollinger', 'broker', 'feed', 'momentum']"


def test_one_that_is_deleted_takes_its_plugins_with_it(controller, write, conditions, kubectl):
    one = controller()
    one.told()
    write()
    conditions(Ready="True")
    kubectl("delete", "pset", "desk")
    eventually(lambda: one.ask("sorted(machine.running())") == "[]")


def test_an_edit_that_removes_most_is_guarded_and_an_annotation_allows_it(
    controller, write, conditions
):
    one = controller()
    one.told()
    write()
    conditions(Ready="True")
    write("plugins: {}")
    found = conditions(Stalled="True")
    assert found["Stalled"]["reason"] == "GuardedDeletion"
    assert one.ask("sorted(machine.running())") == "['broker', 'feed', 'momentum']"
    write("plugins: {}", **{"ntp.dev/allow-deletes": "true"})
    conditions(Ready="True")
    eventually(lambda: one.ask("sorted(machine.running())") == "[]")


def refused(conditions, reason, words):
    """Return the message of Ready once both are told; between two tries it is another."""

    def told():
        found = conditions(Ready="False")
        message = found["Ready"]["message"]
        return reason in json.dumps(found["status"]) and words in message and message

    return eventually(told)


def test_a_variable_is_a_key_of_the_releases_secret_and_a_rotation_is_noticed(
    controller, write, conditions, kubectl
):
    one = controller()
    one.told()
    write(FLEET.replace("symbols: [BTCUSDT]", "symbols: [BTCUSDT], key: '${API_KEY}', other: 1"))
    refused(conditions, "SecretMissing", "Secret desk-secrets has no key API_KEY")
    kubectl("create", "secret", "generic", "desk-secrets", "--from-literal=API_KEY=first")
    conditions(Ready="True")
    launch = "machine.launches['feed'].files['launch.json'].decode()"
    assert '"first"' in one.ask(launch)
    kubectl("patch", "secret", "desk-secrets", "-p", '{"stringData":{"API_KEY":"second"}}')
    eventually(lambda: '"second"' in one.ask(launch))


def test_a_secret_that_runs_the_release_is_given_to_no_plugin_and_its_status_says_what_to_do(
    controller, write, conditions, kubectl
):
    one = controller()
    one.told()
    kubectl(
        "create", "secret", "generic", "desk-nats-keys", "--from-literal=operator.nk=worth-a-lot"
    )
    line = "{lookback: 14}, secrets: {a: 'kubernetes:desk-nats-keys/operator.nk'}"
    write(FLEET.replace("{lookback: 14}", line))
    words = "Secret desk-nats-keys is ntp's own, and no plugin may be given what is in it"
    told = refused(conditions, "SecretRefused", words)
    assert "fix: put the value into a Secret of its own" in told
    assert one.ask("sorted(machine.running())") == "['broker', 'feed']", "the others run"


def test_a_leader_that_is_killed_is_followed_and_nothing_starts_anew(controller, write, conditions):
    one = controller("one")
    assert one.told() == "leads 1"
    write()
    conditions(Ready="True")
    eventually(lambda: one.ask("store.pending") == "0")
    one.process.kill()
    two = controller("two")
    assert two.told() == "leads 2"
    # Its machine in memory is another one; what is remembered is the same.
    assert two.ask("store.current().number") == "1"
    assert two.ask("sorted(store.records())") == "['broker', 'feed', 'momentum']"
