"""Print the SBOM that is attached to the image in an OCI archive: python .ci/image_sbom.py FILE."""

import sys
import tempfile
from pathlib import Path

from ntp.oci import image, sbom, source
from ntp.oci.layout import Layout
from ntp.oci.referrer import attached

with tempfile.TemporaryDirectory() as folder:
    layout = Layout.create(Path(folder))
    found = source.fetch(sys.argv[1], layout, environment={})
    image.check(layout, found.image)
    for each in attached(layout, found.image, found.index):
        if each.descriptor.artifact_type == sbom.MEDIA_TYPE:
            sys.stdout.write(layout.read(each.document).decode())
            break
    else:
        sys.exit(f"{sys.argv[1]} has no SBOM")
