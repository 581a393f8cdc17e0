"""Push packed images with their SBOM and provenance.

    python .ci/publish_images.py REGISTRY/PATH TAG FILE…

A file `rsi-indicator.tar` becomes `REGISTRY/PATH/rsi-indicator:TAG`. What is there already is not sent
again. Prints a reference by digest for each.
"""

import os
import sys
import tempfile
from pathlib import Path

from ntp.oci import reference, source
from ntp.oci.fault import OciError
from ntp.oci.layout import Layout
from ntp.oci.referrer import attached
from ntp.oci.registry import Registry
from ntp.oci.registry_access import logged_in


def main(place: str, tag: str, files: list[str]) -> int:
    for file in files:
        to = reference.parse(f"{place}/{Path(file).stem}:{tag}")
        registry = Registry(to.host, credentials=logged_in(to.host, os.environ))
        try:
            with tempfile.TemporaryDirectory() as folder:
                layout = Layout.create(Path(folder))
                found = source.fetch(file, layout, environment=os.environ)
                about = attached(layout, found.image, found.index)
                print(registry.push(layout, found.image, to, attachments=about))
        except OciError as error:
            print(f"error: {error}\n  fix: {error.fix}", file=sys.stderr)
            return 5
        finally:
            registry.close()
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1].rstrip("/"), sys.argv[2], sys.argv[3:]))
