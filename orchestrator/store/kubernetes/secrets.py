"""Values for references on a cluster: `${VAR}` is a key of the release's Secret; others are named with theirs.

They are read while plugins are looked after, each `EVERY_S`; a value that was read is kept in memory.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import SECRET, Body
from orchestrator.errors import ActionError, Problem
from orchestrator.spec.model import SecretRef

EVERY_S: Final = 10.0
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_OTHERS: Final = ("ntp.dev/", "helm.sh/release", "kubernetes.io/service-account-token")
"""Beginnings of types: what is remembered, what Helm keeps of a release's values, and who is let in."""
_OWN_NAMES: Final = ("-nats-keys", "-egress-proxy-seed")
_OWN_KEYS: Final = frozenset({"operator.nk", "system.creds"})
_REFERENCE = re.compile(
    r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"
    r"|\benv:\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)"
    r"|\bkubernetes:\s*[\"']?([a-z0-9][a-z0-9.-]*/[A-Za-z0-9._-]+)"
)


class Values:
    """What was read, shared by all `ClusterSecrets` of a controller."""

    def __init__(self, cluster: Cluster, own: str) -> None:
        """`own`: the release's Secret."""
        self._cluster = cluster
        self.own = own
        self._read: dict[str, Mapping[str, str]] = {}
        self._refused: dict[str, str] = {}
        """Secret -> whose it is, where it is no plugin's."""

    @property
    def namespace(self) -> str:
        return self._cluster.namespace

    def get(self, secret: str, key: str) -> str | None:
        return self._read.get(secret, {}).get(key)

    def refused(self, secret: str) -> str:
        """Return whose a Secret is that no plugin may be given; empty: any may."""
        return self._refused.get(secret, "")

    async def read(self, texts: Iterable[str]) -> None:
        """Read the Secrets that texts refer to. What cannot be read now stays as it was.

        Raises:
            UnreachableError: the API server does not answer.
        """
        wanted = {self.own} | {
            name.partition("/")[0] for text in texts for name in references(text) if "/" in name
        }
        for name in sorted(wanted):
            try:
                body = await self._cluster.get(SECRET, name)
            except ActionError:
                # Not ours to read: its plugin is told that it is not there.
                body = None
            # Who may write PluginSets need not be allowed to read Secrets: what runs the release stays ours.
            self._refused[name] = whose(body or {}, name)
            data = {} if self._refused[name] else (body or {}).get("data") or {}
            self._read[name] = {key: text for key, raw in data.items() if (text := _text(raw))}

    def found(self, texts: Iterable[str]) -> dict[str, str]:
        """Return the values that texts refer to and that are there, by variable or SECRET/KEY."""
        values = {}
        for name in sorted({name for text in texts for name in references(text)}):
            secret, slash, key = name.partition("/")
            value = self.get(secret, key) if slash else self.get(self.own, name)
            if value:
                values[name] = value
        return values


def references(text: str) -> set[str]:
    """Return what a text of plugins.yaml may refer to: variables, and SECRET/KEY."""
    return {name for each in _REFERENCE.findall(text) for name in each if name}


def whose(body: Body, name: str) -> str:
    """Return whose a Secret is that is not for plugins, in words; empty: it is for them."""
    labels = body.get("metadata", {}).get("labels") or {}
    data = body.get("data") or {}
    if str(body.get("type", "")).startswith(_OTHERS):
        return f"of the type {body['type']}"
    ours = (
        labels.get(MANAGED_BY) == "ntp"
        or name.endswith(_OWN_NAMES)
        # Whatever it is called, and whoever made it: `nats.keysSecret` of the chart.
        or not _OWN_KEYS.isdisjoint(data)
    )
    return "ntp's own" if ours else ""


def _text(raw: str) -> str:
    """One newline at the end is not part of a secret, as in files; what is no text is none."""
    try:
        text = base64.b64decode(raw).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text.removesuffix("\n").removesuffix("\r")


class ClusterSecrets:
    """The port `Secrets`. `key`: makes digests, and is the same for each controller of a release."""

    def __init__(
        self,
        values: Values,
        *,
        key: Callable[[], bytes],
        passed: Mapping[str, str] | None = None,
    ) -> None:
        self._values = values
        self._key = key
        self._passed = dict(passed or {})

    def passing(self, values: Mapping[str, str], folder: Path | None) -> Self:
        del folder  # no file of a pod is anybody's secret
        return type(self)(self._values, key=self._key, passed={**self._passed, **values})

    def resolve(self, reference: SecretRef) -> str:
        own, namespace = self._values.own, self._values.namespace
        match reference.source:
            case "env":
                value = self._passed.get(reference.key) or self._values.get(own, reference.key)
                what = f"Secret {own} has no key {reference.key}"
                fix = _patch(namespace, own, reference.key)
            case "kubernetes":
                secret, _, key = reference.key.partition("/")
                if whose := self._values.refused(secret):
                    raise _refusal(
                        reference,
                        "SecretRefused",
                        f"Secret {secret} is {whose}, and no plugin may be given what is in it",
                        f"put the value into a Secret of its own: {_patch(namespace, 'NAME', key)}",
                    )
                value = self._passed.get(reference.key) or self._values.get(secret, key)
                what = f"Secret {secret} is not there, has no key {key}, or may not be read"
                fix = _patch(namespace, secret, key)
            case _:
                value = None
                what = f"the file {reference.key} is of another machine"
                fix = f"write ${{NAME}}, a key of Secret {own}, or kubernetes:SECRET/KEY"
        if value:
            return value
        raise _refusal(reference, "SecretMissing", what, fix)

    def digest(self, reference: SecretRef) -> str:
        value = self.resolve(reference)
        return hmac.new(self._key(), value.encode(), hashlib.sha256).hexdigest()[:32]


def _refusal(reference: SecretRef, reason: str, what: str, fix: str) -> ActionError:
    place = reference.place
    problem = Problem(place.file, place.line, place.column, what, fix)
    return ActionError(str(problem), reason=reason, problem=problem)


def _patch(namespace: str, secret: str, key: str) -> str:
    return (
        f"kubectl -n {namespace} patch secret {secret} --type merge -p "
        f'\'{{"stringData":{{"{key}":"…"}}}}\' (`kubectl create secret generic {secret}` makes it)'
    )
