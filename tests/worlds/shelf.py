"""A shelf of wheels that pip installs from: no registry, and hashes as real as any."""

import os
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from ntp.package.wheels import Pip


class Shelf:
    """A folder of wheels that pip may look into, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    @property
    def pip(self) -> Pip:
        return Pip(
            {
                **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(self.folder),
                "PIP_CACHE_DIR": str(self.folder.parent / "pip-cache"),
            }
        )

    def wheel(
        self, name: str, version: str, files: dict[str, str], requires: Sequence[str] = ()
    ) -> Path:
        """Build a wheel as the format's specification (PyPA, "Binary distribution format") has it."""
        info = f"{name}-{version}.dist-info"
        needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
        content = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        lines = []
        for path, text in content.items():
            raw = urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={raw},{len(text.encode())}\n")
        content[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"])
        wheel = self.folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in content.items():
                archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
        return wheel
