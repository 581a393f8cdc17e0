"""Which Secrets of a namespace a plugin may be given."""

import base64

import pytest

from orchestrator.errors import ActionError
from orchestrator.spec.model import Place, SecretRef
from orchestrator.store.kubernetes.secrets import ClusterSecrets, Values

PLACE = Place("pluginset/ntp", 9, 14)
OURS = {"app.kubernetes.io/managed-by": "ntp"}
HELMS = {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": "ntp"}


def secret(key="key", *, of="Opaque", labels=None):
    data = {key: base64.b64encode(b"worth a lot").decode()}
    return {"type": of, "metadata": {"labels": labels or {}}, "data": data}


class Namespace:
    """What the API server answers of one Secret."""

    namespace = "desk"

    def __init__(self, **there):
        self.there = there

    async def get(self, _kind, name):
        return self.there.get(name)


async def resolved(name, body, key="key"):
    values = Values(Namespace(**{name: body}), "ntp-secrets")
    text = f"secrets: {{a: kubernetes:{name}/{key}}}"
    await values.read([text])
    secrets = ClusterSecrets(values, key=lambda: b"k").passing(values.found([text]), None)
    return secrets.resolve(SecretRef("kubernetes", f"{name}/{key}", PLACE))


@pytest.mark.parametrize(
    ("name", "body", "whose"),
    [
        ("ntp-nats-keys", secret("operator.nk", labels=OURS), "ntp's own"),
        ("ntp-nats-keys", secret("other"), "ntp's own"),
        ("keys-of-nats", secret("operator.nk"), "ntp's own"),
        ("keys-of-nats", secret("system.creds"), "ntp's own"),
        ("ntp-egress-proxy-seed", secret("seed"), "ntp's own"),
        ("binance-data", secret("launch.json", labels=OURS), "ntp's own"),
        ("state", secret("body", of="ntp.dev/state"), "of the type ntp.dev/state"),
        ("sh.helm.v1", secret("release", of="helm.sh/release.v1"), "of the type helm.sh/release.v1"),
        ("account", secret("token", of="kubernetes.io/service-account-token"), "of the type kubernetes.io/service-account-token"),
    ],
)  # fmt: skip
async def test_what_runs_the_release_is_given_to_no_plugin(name, body, whose):
    (key,) = body["data"]
    with pytest.raises(ActionError) as refusal:
        await resolved(name, body, key)
    assert refusal.value.reason == "SecretRefused"
    told = str(refusal.value)
    assert f"pluginset/ntp:9:14: Secret {name} is {whose}, and no plugin may be given" in told
    assert "fix: put the value into a Secret of its own: kubectl -n desk" in told
    assert "worth a lot" not in told


@pytest.mark.parametrize("labels", [{}, HELMS])
async def test_a_persons_own_secret_and_that_of_the_chart_are(labels):
    assert await resolved("polygon", secret(labels=labels)) == "worth a lot"
