"""helm/ntp rendered: safe pods, rights of one namespace, values that cannot be misspelt."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from ipaddress import ip_address, ip_network

import pytest
import yaml
from click.testing import CliRunner

import ntp
from docs.generator import chart_values
from orchestrator.app import trying
from orchestrator.cli import group
from orchestrator.spec import plugin_set
from tests.worlds.chart import CHART, ROOT, helm, path_of, pod_of, refusal, rendered
from tests.worlds.registry import registry

DIGEST = "sha256:" + "0" * 64
EVERYTHING = {
    "nats.replicas": 3,
    "exchange.enabled": True,
    "serviceMonitor.enabled": True,
    "egressProxy.replicas": 2,
    "secrets": {"KEY": "value"},
    "image.digests": {"binance-data": DIGEST, "ntp-nats": DIGEST},
    "plugins": {"strategies": [{"name": "one", "config": {"volume": 12000000, "share": 0.5}}]},
    "defaults": {"resources": {"memory": "64MB"}},
}


@pytest.mark.parametrize("program", ["helm3", "helm4"])
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_it_lints_strictly(program, values):
    words = ",".join(f"{key}={json.dumps(value)}" for key, value in values.items())
    more = ["--set-json", words] if values else []
    done = helm("lint", "--strict", CHART, *more, program=program)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("program", ["helm3", "helm4"])
def test_each_helm_renders_the_same(program):
    assert rendered(EVERYTHING, program=program) == rendered(EVERYTHING)


def test_every_pod_is_restricted_beyond_the_standard_and_asks_for_what_it_needs():
    pods = {key: pod for key, body in rendered(EVERYTHING).items() if (pod := pod_of(body))}
    assert len(pods) >= 6
    for (_, name), pod in pods.items():
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 65532), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert pod["enableServiceLinks"] is False, name
        assert pod["automountServiceAccountToken"] is ("serviceAccountName" in pod), name
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} == container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
        kinds = {kind for volume in pod["volumes"] for kind in volume.keys() - {"name"}}
        assert kinds <= {"emptyDir", "secret", "configMap", "projected"}, name


def test_rights_are_of_the_namespace_and_nothing_is_a_wildcard():
    found = rendered(EVERYTHING)
    assert not {kind for kind, _ in found if kind.startswith("Cluster")}
    for (kind, name), body in found.items():
        if kind == "Role":
            for rule in body["rules"]:
                assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], name
    keys = found["Role", "ntp-keys"]["rules"]
    assert keys == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]
    kept = rendered({"keepData": True})["Role", "ntp-uninstall"]["rules"]
    assert not {"secrets", "persistentvolumeclaims"} & {
        r for rule in kept for r in rule["resources"]
    }


def test_a_controller_renews_the_lease_of_its_own_release_alone():
    of_leases = [
        r for r in rendered()["Role", "ntp-controller"]["rules"] if "leases" in r["resources"]
    ]
    named = {verb: rule.get("resourceNames") for rule in of_leases for verb in rule["verbs"]}
    # What is created has no name yet that could be granted.
    assert named == {"create": None, "get": ["ntp"], "update": ["ntp"]}


def test_a_controller_that_hangs_is_started_anew():
    (container,) = pod_of(rendered()["Deployment", "ntp-controller"])["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}


def test_a_try_is_a_pod_that_ends_and_cleans_up_before_it_would_be_killed():
    pod = rendered()["Pod", "ntp-test"]["spec"]
    # Half a minute for the node to have the image.
    assert pod["activeDeadlineSeconds"] >= trying.WITHIN_S + trying.ENDING_S + 30


def test_no_pod_of_a_service_changes_with_the_version_of_the_chart():
    """An upgrade that changes nothing of NATS leaves it alone."""
    for (kind, name), body in rendered(EVERYTHING).items():
        if kind in ("StatefulSet", "Deployment"):
            labels = body["spec"]["template"]["metadata"]["labels"]
            assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys(), name
            assert body["spec"]["selector"]["matchLabels"].items() <= labels.items(), name


def test_what_plugins_yaml_says_becomes_the_plugin_set_and_whole_numbers_stay_whole():
    found = rendered(EVERYTHING)
    spec = found["PluginSet", "ntp"]["spec"]
    (entry,) = spec["plugins"]["strategies"]
    assert entry["config"] == {"volume": 12000000, "share": 0.5}
    assert isinstance(entry["config"]["volume"], int)
    assert spec["defaults"] == {"resources": {"memory": "64MB"}}
    assert found["Secret", "ntp-secrets"]["stringData"] == {"KEY": "value"}
    assert ("PluginSet", "ntp") not in rendered()


def test_the_plugins_yaml_of_a_laptop_is_a_file_of_values():
    done = helm("template", "ntp", CHART, "--kube-version", "1.34.0", "-f", ROOT / "config" / "plugins.yaml")  # fmt: skip
    assert done.returncode == 0, done.stderr
    bodies = [each for each in yaml.safe_load_all(done.stdout) if each]
    (made,) = [each for each in bodies if each["kind"] == "PluginSet"]
    assert made["apiVersion"] == plugin_set.API_VERSION
    assert made["spec"]["plugins"] == yaml.safe_load((ROOT / "config/plugins.yaml").read_text())["plugins"]  # fmt: skip


def test_bundled_plugins_are_named_by_digest_and_those_without_one_are_not_offered():
    found = rendered({"image.registry": "registry.example/desk/", **EVERYTHING})
    said = yaml.safe_load(found["ConfigMap", "ntp-images"]["data"]["images.yaml"])
    assert said == {"binance_data": f"registry.example/desk/binance-data@{DIGEST}"}
    nats = pod_of(found["StatefulSet", "ntp-nats"])["containers"][0]["image"]
    assert nats == f"registry.example/desk/ntp-nats@{DIGEST}"
    controller = pod_of(found["Deployment", "ntp-controller"])["containers"][0]["image"]
    assert controller == f"registry.example/desk/ntp-controller:{ntp.__version__}"


def test_a_name_server_that_hangs_holds_no_resolver_of_the_proxy_for_long():
    pod = pod_of(rendered()["Deployment", "ntp-egress-proxy"])
    assert pod["dnsConfig"]["options"] == [
        {"name": "ndots", "value": "1"},
        {"name": "timeout", "value": "1"},
        {"name": "attempts", "value": "2"},
    ]


def test_nothing_private_is_behind_the_proxy_unless_something_is_listed():
    def rules(values=None):
        return rendered(values)["NetworkPolicy", "ntp-egress-proxy"]["spec"]["egress"]

    names, public = rules()
    assert [each["ipBlock"]["cidr"] for each in public["to"]] == ["0.0.0.0/0"], (
        "what enforces policies for addresses of one family may refuse all that have others"
    )
    names, public = rules({"networkPolicy.ipv6": True})
    assert {port["port"] for port in names["ports"]} == {53}
    blocks = [each["ipBlock"] for each in public["to"]]
    for block in blocks:
        whole = ip_network(block["cidr"])
        assert all(ip_network(each).subnet_of(whole) for each in block["except"])
    private = [ip_network(each) for block in blocks for each in block["except"]]
    for address in ("10.96.0.1", "192.168.7.7", "172.31.0.1", "100.64.1.1", "169.254.169.254", "fd00:ec2::254"):  # fmt: skip
        assert any(ip_address(address) in each for each in private), address
    for address in ("1.1.1.1", "2606:4700::1"):
        assert not any(ip_address(address) in each for each in private), address
    # Before what is excepted: some enforce that as a refusal, in the order in which it stands.
    _, exchange, _ = rules({"exchange.enabled": True})
    assert exchange["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "exchange"  # fmt: skip
    for place in ("db.desk:5432", "10.0.0.7:5432", "[fd00::7]:5432"):
        assert rules({"egressProxy.private": [place]}) == [{}]


def test_the_proxy_starts_without_a_key_and_no_key_hides_another():
    volumes = {each["name"]: each for each in pod_of(rendered()["Deployment", "ntp-egress-proxy"])["volumes"]}  # fmt: skip
    sources = volumes["rules"]["projected"]["sources"]
    keys = [each.get("configMap") or each["secret"] for each in sources][1:]
    assert [each["optional"] for each in keys] == [True, True], (
        "whoever exchanges the key takes it away"
    )
    assert [item["path"] for item in keys[1]["items"]] == ["keys-founded"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"naats": 1}, "naats"),
        ({"nats.replicas": 2}, "nats/replicas"),
        ({"image.digests": {"x": "latest"}}, "image/digests/x"),
        ({"nats.external": "nats://a?keys=/x"}, "nats/external"),
        ({"nats.storage.size": "8 GB"}, "nats/storage/size"),
        ({"egressProxy.private": ["fd00::7:5432"]}, "egressProxy/private"),
        ({"plugins": [1]}, "plugins"),
        ({"defaults": {"timeout": 1}}, "was given without `plugins`"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_its_name(values, words):
    said = refusal(values)
    for name in ("nats", "image", "egressProxy"):
        said = said.replace(f"{name}.", f"{name}/")  # Helm 3 writes the one, Helm 4 the other
    assert words in said


def test_a_release_whose_name_no_project_can_have_is_refused_with_what_to_do():
    said = refusal({}, release="9lives")
    assert "the release's name was" in said
    assert "fix: lower-case letters, digits and '-', a letter first" in said


def test_its_version_is_that_of_the_project():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == ntp.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", chart["version"])


def test_a_value_without_a_comment_is_refused_by_the_generator():
    with pytest.raises(ValueError, match=r"nats\.replicas has no comment"):
        chart_values.read("# Of it.\nname: x\nnats:\n  replicas: 1\n")


def test_neither_wheel_nor_lint_needs_the_chart():
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert not any("helm" in each for each in root["tool"]["hatch"]["build"]["targets"]["wheel"]["include"])  # fmt: skip


def test_the_rendered_manifests_are_those_that_are_committed():
    helm("version")
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/manifests.py", "--check"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    bodies = [*yaml.safe_load_all((ROOT / "manifests" / "ntp.yaml").read_text())]
    assert not any("helm.sh" in json.dumps(each) for each in bodies)
    assert "ntp-uninstall" not in {each["metadata"]["name"] for each in bodies}


@pytest.mark.parametrize("program", ["helm3", "helm4"])
def test_a_published_chart_names_a_registry_and_each_image_by_digest(tmp_path, program):
    said = {"image": {"registry": "registry.example/ntp", "digests": {"ntp-nats": DIGEST}}}
    (tmp_path / "images.yaml").write_text(yaml.safe_dump(said))
    words = [sys.executable, ROOT / ".ci/chart.py", tmp_path / "images.yaml", tmp_path / "out"]
    environment = {**os.environ, "HELM": path_of(program)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    with registry(tmp_path / "registry") as host:
        pushed = helm("push", done.stdout.strip(), f"oci://{host}/charts", "--plain-http", program=program)  # fmt: skip
        assert pushed.returncode == 0, pushed.stderr
        shown = helm("show", "values", f"oci://{host}/charts/ntp", "--version", ntp.__version__, "--plain-http", program=program)  # fmt: skip
    values = yaml.safe_load(shown.stdout)
    assert values["image"]["registry"] == "registry.example/ntp"
    assert values["image"]["digests"] == {"ntp-nats": DIGEST}
    assert "# Host and path of all images." in shown.stdout


@pytest.mark.parametrize("values", ["", 'plugins={"strategies":[{"name":"momentum_strategy"}]}'])
def test_what_the_notes_tell_to_type_is_a_command_of_ntpctl(values):
    more = ["--set-json", values] if values else []
    said = helm("install", "ntp", CHART, "-n", "desk", "--dry-run=client", *more)
    assert said.returncode == 0, said.stderr
    notes = said.stdout.partition("NOTES:")[2]
    told = [shlex.split(line)[1:] for line in notes.splitlines() if line.startswith("  ntpctl ")]
    assert told
    for words in told:
        # Options that say where become environment, which is not to outlive this.
        done = CliRunner(env={"NTP_CONTEXT": None, "NTP_NAMESPACE": None}).invoke(group, [*words, "--help"])  # fmt: skip
        assert done.exit_code == 0, done.output
