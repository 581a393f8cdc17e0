"""Who owns an object of a cluster, where that is not a person: what he does not know of, he undoes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_MANAGERS: Final = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "helm": "Helm",
}
_ARGO, _ARGO_LABEL = "argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"
_FLUX: Final = ("kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io")
_HELM = "meta.helm.sh/release-name"


@dataclass(frozen=True, slots=True)
class Owner:
    """`tool` with what it calls the source of the object; `where` a change belongs."""

    tool: str
    name: str
    where: str

    def __str__(self) -> str:
        return f"{self.tool} ({self.name})" if self.name else self.tool


def owner(body: Mapping[str, Any]) -> Owner | None:
    """Return who keeps an object as a repository or a chart has it; None: nobody says so.

    Known by what Argo CD and Flux write on every object that they apply, and Helm; else by the field
    managers that they are.
    """
    metadata = body.get("metadata") or {}
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if tracked := notes.get(_ARGO) or labels.get(_ARGO_LABEL):
        return _of("Argo CD", str(tracked).partition(":")[0])
    for prefix in _FLUX:
        if name := labels.get(f"{prefix}/name"):
            return _of("Flux", f"{labels.get(f'{prefix}/namespace', '')}/{name}".lstrip("/"))
    if release := notes.get(_HELM):
        return _of("Helm", str(release))
    for each in metadata.get("managedFields") or ():
        tool = _MANAGERS.get(str(each.get("manager")).lower())
        if tool is not None and not each.get("subresource"):
            return _of(tool, "")
    return None


def _of(tool: str, name: str) -> Owner:
    where = "the values of its release" if tool == "Helm" else "its repository"
    return Owner(tool, name, where)
