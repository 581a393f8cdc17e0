"""Let the bundled plugins' tests import them as a runner does: from their own folders."""

# ruff: noqa: INP001 - the folders of plugins are no packages

import sys
from pathlib import Path

for manifest in Path(__file__).parent.glob("*/plugin.yaml"):
    sys.path.insert(0, str(manifest.parent))

collect_ignore = ["sdk/ntp/templates"]
"""Their tests run in the folders that `ntp plugin create` makes of them."""
