"""Sigstore's own verifier: @sigstore/verify, which `requirements/sigstore` fetches."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.worlds.environment import absent

FETCHED = Path(sys.prefix) / "tools" / "sigstore"
PROGRAM = Path(__file__).with_name("sigstore_verify.cjs")


def verify(folder: Path, bundle: bytes, pem: bytes) -> "subprocess.CompletedProcess[bytes]":
    """Ask it about a bundle and a key; its output is what was signed."""
    node = shutil.which("node")
    if node is None or not (FETCHED / "node_modules" / "@sigstore" / "verify").is_dir():
        absent("programs", "@sigstore/verify is not here; requirements/sigstore fetches it by npm")
    folder.mkdir(exist_ok=True)
    (folder / "bundle.json").write_bytes(bundle)
    (folder / "key.pem").write_bytes(pem)
    command = [node, PROGRAM, FETCHED, folder / "bundle.json", folder / "key.pem"]
    return subprocess.run(command, capture_output=True, timeout=60)
