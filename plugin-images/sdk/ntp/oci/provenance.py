"""How an image was made, as an in-toto statement of SLSA's kind, and no more than is true.

It says what the builder says of itself (SLSA build level 1), signed with the image or not. A CI that
can say more attaches its own.
"""

from collections.abc import Mapping, Sequence

from ntp.oci.descriptor import dump

MEDIA_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://ntp.invalid/build/plugin-image/v1"
"""A name, nothing to fetch: what `parameters` mean stands in docs/images.md."""
BUILDER = "https://ntp.invalid/builder/local"
ANNOTATION = "in-toto.io/predicate-type"


def write(
    *,
    name: str,
    digest: str,
    parameters: Mapping[str, str],
    materials: Sequence[tuple[str, str]],
    builder_version: str,
) -> bytes:
    """Return the statement.

    Args:
        name: of the image.
        digest: of its manifest: `sha256:…`.
        parameters: what was asked for.
        materials: what went in: (URI, SHA-256 in hexadecimal), in any order.
        builder_version: of ntp-sdk.
    """
    return dump(
        {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": digest.partition(":")[2]}}],
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": dict(parameters),
                    "internalParameters": {},
                    "resolvedDependencies": [
                        {"uri": uri, "digest": {"sha256": sha256}}
                        for uri, sha256 in sorted(set(materials))
                    ],
                },
                "runDetails": {
                    "builder": {"id": BUILDER, "version": {"ntp-sdk": builder_version}},
                    "metadata": {},
                },
            },
        }
    )
