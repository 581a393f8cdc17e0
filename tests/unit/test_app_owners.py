"""Who keeps an object of a cluster is known by what he writes on it."""

import pytest

from orchestrator.app.owners import owner


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({}, None),
        ({"labels": {"app.kubernetes.io/instance": "desk"}}, None),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "app:ntp.dev/PluginSet:ns/desk"}},
            "Argo CD (app)",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "app"}}, "Argo CD (app)"),
        (
            {
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "desks",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                }
            },
            "Flux (flux-system/desks)",
        ),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "ntp"}}, "Flux (ntp)"),
        ({"annotations": {"meta.helm.sh/release-name": "ntp"}}, "Helm (ntp)"),
        ({"managedFields": [{"manager": "argocd-controller"}]}, "Argo CD"),
        ({"managedFields": [{"manager": "kustomize-controller"}]}, "Flux"),
        ({"managedFields": [{"manager": "kubectl-edit"}, {"manager": "ntp"}]}, None),
        ({"managedFields": [{"manager": "helm", "subresource": "status"}]}, None),
    ],
)
def test_an_owner_is_named(metadata, named):
    found = owner({"metadata": metadata})
    assert (found and str(found)) == named
