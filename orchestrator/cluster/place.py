"""Which cluster, as whom, in which namespace: a kubeconfig's context, or the pod that we are in."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cluster import library
from orchestrator.errors import ActionError, ConfigError, Problem

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""What a pod's service account is given."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cluster is found.

    Without `kubeconfig` and `context`, in a pod: the cluster that the pod is in. Else the file that
    KUBECONFIG names, or ~/.kube/config.
    """

    kubeconfig: str | None = None
    """Files, separated as KUBECONFIG separates them."""
    context: str | None = None
    """None: the file's current one."""
    namespace: str | None = None
    """None: the context's, or the pod's own."""

    @property
    def is_own_cluster(self) -> bool:
        named = self.kubeconfig or self.context or os.environ.get("KUBECONFIG")
        return not named and "KUBERNETES_SERVICE_HOST" in os.environ

    @property
    def files(self) -> str:
        usual = str(Path("~/.kube/config").expanduser())
        return self.kubeconfig or os.environ.get("KUBECONFIG") or usual


@dataclass(frozen=True, slots=True)
class Found:
    """A client of the official library that knows its cluster, and the namespace to work in."""

    api: Any
    namespace: str
    renew: Callable[[], Awaitable[None]]
    """Asks anew for what we show the cluster: the program of a context may give something short-lived."""


async def find(place: Place) -> Found:
    """Read the place's files; no word is said to the cluster yet.

    Raises:
        ConfigError: no such file or context, or not readable.
        ActionError: the program that the context gets its credentials from failed.
    """
    client, config = library.client(), library.config()
    configuration = client.Configuration()
    if place.is_own_cluster:
        try:
            config.load_incluster_config(configuration)
        except config.ConfigException as error:
            raise ActionError(
                f"the pod's service account cannot be used: {error}", reason="NoServiceAccount"
            ) from error
        own = ACCOUNT / "namespace"
        namespace = place.namespace or (own.read_text().strip() if own.exists() else "default")
        return Found(client.ApiClient(configuration), namespace, _nothing)
    namespace, renew = await _from_file(place, configuration)
    return Found(client.ApiClient(configuration), namespace, renew)


async def _nothing() -> None:
    """A service account's file is read again by the library."""


async def _from_file(place: Place, configuration: Any) -> tuple[str, Callable[[], Awaitable[None]]]:
    from yaml import YAMLError

    config = library.config()
    _insist_readable(place)
    try:
        loader = await config.load_kube_config(
            config_file=place.files, context=place.context, client_configuration=configuration
        )
        contexts, current = config.list_kube_config_contexts(config_file=place.files)
    except (
        config.ConfigException,
        OSError,
        YAMLError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
    ) as error:
        raise ConfigError([_problem(place, error)]) from error

    async def renew() -> None:
        try:
            await loader.load_and_set(configuration)
        except (config.ConfigException, OSError, ValueError) as error:
            raise ActionError(
                f"who we are cannot be shown again: {error}", reason="Unauthorized"
            ) from error

    chosen = next((each for each in contexts if each["name"] == place.context), current)
    return place.namespace or str(chosen["context"].get("namespace") or "default"), renew


def _insist_readable(place: Place) -> None:
    files = [Path(each).expanduser() for each in place.files.split(os.pathsep) if each]
    if any(each.is_file() for each in files):
        return
    raise ConfigError(
        [
            Problem(
                place.files,
                0,
                0,
                "no kubeconfig is there",
                "set KUBECONFIG to the file that your platform team gave you",
            )
        ]
    )


def _problem(place: Place, error: Exception) -> Problem:
    if not isinstance(error, library.config().ConfigException):
        what = "the file is no kubeconfig: " + (
            " ".join(str(error).split()) or type(error).__name__
        )
        if isinstance(error, KeyError | TypeError | AttributeError):
            what = "the file is no kubeconfig"  # the library fell over what is missing
        fix = "see whether `kubectl config view` reads it; ask your platform team for another"
        return Problem(place.files, 0, 0, what, fix)
    if place.context is not None:
        fix = "name one of those that `kubectl config get-contexts` lists"
        return Problem(place.files, 0, 0, f"context '{place.context}' cannot be used: {error}", fix)
    fix = "see whether `kubectl version` works with this file"
    return Problem(place.files, 0, 0, f"the kubeconfig cannot be used: {error}", fix)
