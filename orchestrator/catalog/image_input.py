"""From an artifact to what is packed into its image."""

from functools import lru_cache

from ntp.contract.manifest import FILE, Manifest
from ntp.oci.plugin_image import Plugin
from ntp.package.lock import Pin
from ntp.package.manifest_file import parse
from ntp.package.tree import TreeError, read_folder
from orchestrator.errors import ActionError
from orchestrator.spec.model import Artifact


def as_packed(artifact: Artifact, pins: tuple[Pin, ...]) -> Plugin:
    """Return it with the wheels `pins`; ActionError where its copy is gone."""
    try:
        tree = read_folder(artifact.code)
    except TreeError as error:
        raise ActionError(
            f"the copy of {artifact.plugin}'s code is not in the cache any more; apply again",
            reason="ArtifactGone",
        ) from error
    manifest = None
    if FILE in tree.files:
        manifest = _read(tree.files[FILE])
    if manifest is None:
        manifest = _manifest(artifact)
    return Plugin(
        name=manifest.name,
        version=manifest.version,
        manifest=manifest.model_dump(mode="json", exclude_defaults=True),
        schema=artifact.config_schema,
        tree=tree,
        pins=pins,
        texts={
            "description": manifest.description,
            "authors": manifest.author,
            "licenses": manifest.licence or "",
        },
    )


@lru_cache(maxsize=256)
def _read(content: bytes) -> Manifest | None:
    """Fifty entries of one plugin ask for the same text."""
    found, _ = parse(content, file=FILE)
    return found


def _manifest(artifact: Artifact) -> Manifest:
    """Of a lone file, which was asked before."""
    return Manifest.model_validate(
        {
            "name": artifact.plugin,
            "version": artifact.version,
            "kind": artifact.kind,
            "entrypoint": artifact.entrypoint,
            "requirements": list(artifact.requirements),
            "config_schema": dict(artifact.config_schema),
            "egress": list(artifact.egress),
            "secrets": list(artifact.secrets),
            "finite": artifact.finite,
            "trading": dict(artifact.trading),
        }
    )
