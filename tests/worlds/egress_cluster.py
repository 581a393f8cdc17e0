"""A namespace of a real cluster as the chart makes it: broker, egress proxy, and an exchange over TLS outside of both."""

import json
import secrets
import shutil
import subprocess
import sys
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec
import trustme

from ntp.contract.launch import BusAddress, LaunchFile
from ntp.contract.names import Kind
from ntp.oci import archive, base_image, layer, source
from ntp.oci import image as images
from ntp.oci.layer import Form
from ntp.oci.layout import Layout
from orchestrator.runtime.kubernetes import policies, tokens
from tests.worlds.pods import ISSUED

ROOT = Path(__file__).parents[2]
BROKERS, PROXIES = {"ntp.test/is": "broker"}, {"ntp.test/is": "proxy"}
PROXY = f"ntp-egress:{policies.PROXY_PORT}"
WITHIN_S = 180
CLIENTS = ("anyio", "certifi", "click", "h11", "httpcore", "httpx", "idna")
USER = 65532


def image_archive(clients, folder):
    """Write an archive with the proxy, the broker, and a base that has httpx and the exchange; return its names."""
    system, base = ROOT / "dist" / "system", ROOT / "dist" / "base"
    for program, *words in (
        ("base/from_debian.py", "-o", base),
        ("system/build.py", "--base", base, "-o", system),
    ):
        subprocess.run([sys.executable, ROOT / "plugin-images" / program, *words], check=True, capture_output=True, timeout=500)  # fmt: skip
    layout = Layout.open(system)
    below = source.fetch(str(base), layout, environment={}).image
    more = folder / "more"
    for name in CLIENTS:
        theirs = clients / name
        found = theirs if theirs.is_dir() else Path(sysconfig.get_path("purelib"), name)
        shutil.copytree(found, more / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(clients / "typing_extensions.py", more)
    data = ROOT / "plugin-images/sdk/ntp/exchange/data"
    built = images.build(
        layout,
        base=below,
        layers=[
            layer.write(layout, layer.under("/opt/ntp/wheels", base_image.files(more)), Form()),
            layer.write(
                layout,
                layer.under("/opt/ntp/sdk/ntp/exchange/data", base_image.files(data)),
                Form(),
            ),
        ],
        settings=base_image.settings("/usr/bin/python3", {}),
        annotations={},
        architecture=below.architecture,
    )
    made = {"ntp-test-clients": built}
    for each in layout.index():
        if each.artifact_type is None:
            image = images.read(layout, each)
            made[image.labels.get(f"{base_image.OCI}title", "")] = image
    wanted = {name: made[name] for name in ("ntp-test-clients", "ntp-nats", "ntp-egress-proxy")}
    items = [
        archive.Item(image, f"localhost/ntp-test/{name}", image.digest[7:19])
        for name, image in wanted.items()
    ]
    with (folder / "images.tar").open("wb") as out:
        archive.write(layout, items, out)
    return folder / "images.tar", {
        name: f"{item.name}:{item.tag}" for name, item in zip(wanted, items, strict=True)
    }


class Stage:
    """Everything that stands around the plugins of one namespace."""

    def __init__(self, cluster, namespace, names, folder):
        self.cluster = cluster
        self.namespace = namespace
        self.names = names
        self.signer = tokens.Signer(secrets.token_bytes(32))
        self.exchange = f"exchange.{namespace}.svc.cluster.local:9443"
        authority = trustme.CA()
        self.authority = authority.cert_pem.bytes()
        certificate = authority.issue_cert("exchange.test")
        (folder / "key").write_bytes(certificate.private_key_pem.bytes())
        (folder / "chain").write_bytes(b"".join(c.bytes() for c in certificate.cert_chain_pems))
        self._folder = folder

    def kubectl(self, *words, **options):
        return self.cluster.kubectl("-n", self.namespace, *words, **options)

    def apply(self, *objects):
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def open(self):
        self.kubectl(
            "create", "secret", "generic", "tls",
            f"--from-file=key={self._folder}/key", f"--from-file=chain={self._folder}/chain",
        )  # fmt: skip
        rules = {"keys": self.signer.line(self.namespace), "private": self.exchange}
        python = ["python3", "-S", "-s", "-P", "-B"]
        self.apply(
            _config("rules", rules),
            _config("serving", {}),
            _service("ntp-egress", PROXIES, policies.PROXY_PORT),
            _service("ntp-nats", BROKERS, policies.BROKER_PORT),
            _service("exchange", {"ntp.test/is": "exchange"}, 9443),
            self.pod(
                "proxy",
                PROXIES,
                image="ntp-egress-proxy",
                port=policies.PROXY_PORT,
                volumes={
                    "/run/ntp-egress/rules": {"configMap": {"name": "rules"}},
                    "/run/ntp-egress/serving": {"configMap": {"name": "serving"}},
                },
            ),
            self.pod("broker", BROKERS, image="ntp-nats", port=policies.BROKER_PORT),
            self.pod(
                "exchange",
                {"ntp.test/is": "exchange"},
                command=[
                    *python, "-m", "ntp.cli", "exchange", "--host", "0.0.0.0", "--loop",  # noqa: S104 - in its pod
                    "--tls-cert", "/tls/chain", "--tls-key", "/tls/key",
                ],
                port=9443,
                volumes={"/tls": {"secret": {"secretName": "tls"}}},
            ),
            self.pod("free", {"ntp.test/is": "free"}),
        )  # fmt: skip
        self.ready("proxy", "broker", "exchange", "free")

    def plugin(self, launch):
        """Have the pod of a launch, with its files and its policy, that waits for what it is told to do."""
        name = launch.name.replace("_", "-")
        made = tokens.files(launch, PROXY, self.signer, issued=ISSUED)
        files = {key: content.decode() for key, content in made.items()}
        policy = policies.network_policy(launch, broker_selector=BROKERS, proxy_selector=PROXIES)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {**files, "ca.pem": self.authority.decode()},
        }
        aliases = [
            {"ip": self.address("service", each), "hostnames": [each]}
            for each in ("ntp-nats", "ntp-egress")
        ]
        pod = self.pod(
            name,
            policies.pod_labels(launch),
            volumes={"/run/ntp": {"secret": {"secretName": name}}},
            more={"hostAliases": aliases, "dnsPolicy": "None", "dnsConfig": {"nameservers": ["127.0.0.1"]}},
        )  # fmt: skip
        self.apply(policy, secret, pod)
        self.ready(name)

    def told(self, launch):
        """The launch file that the controller would give it."""
        kind = Kind(launch.kind)
        return msgspec.json.encode(
            LaunchFile(
                project=launch.project,
                instance=launch.name,
                kind=kind,
                plugin=launch.name,
                entrypoint="none:None",
                code="/plugin",
                generation=launch.generation,
                bus=BusAddress(["nats://ntp-nats:4222"], credentials=None),
                egress=[str(each) for each in launch.egress if each not in launch.private],
            )
        )

    def run(self, pod, script, *words, within_s=120):
        """What a script says, as JSON, in the container of a pod."""
        python = ("python3", "-S", "-s", "-P", "-B", "-c", script)
        return json.loads(
            self.kubectl("exec", pod, "--", *python, *map(str, words), within_s=within_s)
        )

    def address(self, kind, name):
        found = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found["spec"]["clusterIP"] if kind == "service" else found["status"]["podIP"]

    def ready(self, *names):
        pods = [f"pod/{name}" for name in names]
        try:
            self.kubectl("wait", "--for=condition=Ready", f"--timeout={WITHIN_S}s", *pods, within_s=WITHIN_S + 20)  # fmt: skip
        except subprocess.CalledProcessError as error:
            shown = self.kubectl("get", "pods", "-o", "wide") + self.kubectl("get", "events")
            logs = "".join(self.kubectl("logs", name, "--tail=20") for name in names)
            raise AssertionError(f"{error.stderr}\n{shown}\n{logs}") from error

    def pod(self, name, labels, *, image="ntp-test-clients", command=None, port=0, volumes=None, more=None):  # fmt: skip
        if command is None and image == "ntp-test-clients":
            # It listens, so that a neighbour has something to knock at.
            listens = "import socket,time\ns=socket.create_server(('0.0.0.0',8080))\nwhile True: s.accept()[0].close()"
            command, port = ["python3", "-c", listens], 8080
        mounts = dict(enumerate((volumes or {}).items()))
        container = {
            "name": "it",
            "image": self.names[image],
            "imagePullPolicy": "Never",
            **({"command": command} if command else {}),
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {
                "requests": {"cpu": "10m", "memory": "32Mi"},
                "limits": {"cpu": "1", "memory": "192Mi"},
            },
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
            "volumeMounts": [
                {"name": f"v{number}", "mountPath": path, "readOnly": True}
                for number, (path, _) in mounts.items()
            ]
            + [{"name": "tmp", "mountPath": "/tmp"}],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": USER,
                    "runAsGroup": USER,
                    "fsGroup": USER,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
                "volumes": [{"name": f"v{n}", **what} for n, (_, what) in mounts.items()]
                + [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
                **(more or {}),
            },
        }


def until(claim, within_s=WITHIN_S):
    """Wait until a claim holds, and return what it gave."""
    end = time.monotonic() + within_s
    while not (found := claim()):
        assert time.monotonic() < end, "never became true"
        time.sleep(0.5)
    return found


@contextmanager
def stage(cluster, clients, folder):
    """Open one in a namespace of its own; `clients`: site-packages with httpx."""
    tar, names = image_archive(clients, folder)
    cluster.load(tar)
    with cluster.namespace() as namespace:
        made = Stage(cluster, namespace, names, folder)
        made.open()
        yield made


def _config(name, data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _service(name, selector, port):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": [{"port": port, "targetPort": port}]},
    }
