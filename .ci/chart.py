"""Pack helm/ntp as it is published: its default values name a registry, and each image by digest.

    python .ci/chart.py VALUES FOLDER

VALUES is what .ci/publish_images.py --values or plugin-images/system/bundle.py wrote. Prints the archive, which
`helm push` takes.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "ntp"


def main(values: Path, out: Path) -> int:
    said = yaml.safe_load(values.read_text())["image"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "ntp")
        shutil.copytree(CHART, folder)
        file = folder / "values.yaml"
        file.write_text(with_images(file.read_text(), said["registry"], said["digests"]))
        out.mkdir(parents=True, exist_ok=True)
        words = [os.environ.get("HELM", "helm"), "package", str(folder), "--destination", str(out)]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return 5
    print(done.stdout.rpartition(": ")[2].strip())
    return 0


def with_images(text: str, registry: str, digests: dict[str, str]) -> str:
    """Return values.yaml with another default; its comments stay."""
    listed = "".join(f"\n    {name}: {digest}" for name, digest in sorted(digests.items()))
    for pattern, line in (
        (r"^  registry: localhost/ntp$", f"  registry: {registry}"),
        (r"^  digests: \{\}$", f"  digests:{listed}"),
    ):
        text, count = re.subn(pattern, line, text, flags=re.MULTILINE)
        if count != 1:
            sys.exit(f"values.yaml has {count} lines {pattern}, and one is to be replaced")
    return text


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
