"""A base image: a Linux with Python, and on it the SDK with its distributions; nothing of a plugin."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ntp.contract import CONTRACT
from ntp.oci import image as images
from ntp.oci import layer
from ntp.oci.fault import OciError
from ntp.oci.image import Image
from ntp.oci.layer import Content, Form, Layer
from ntp.oci.layout import Layout
from ntp.package.given import SDK, Given
from ntp.package.interpreter import platform_tag
from ntp.package.needed import is_needed

OWN = "ntp-image."
"""Prefix of our labels on images. Those by which a runtime knows its containers are others: labels of an
image become labels of its containers, and an image could claim to be one of them."""
OCI = "org.opencontainers.image."
SITE = "/opt/ntp"
SDK_FOLDER, WHEELS_FOLDER, RUNTIME_FOLDER = f"{SITE}/sdk", f"{SITE}/wheels", f"{SITE}/runtime"
MODULES = f"PYTHONPATH={SDK_FOLDER}:{WHEELS_FOLDER}:{RUNTIME_FOLDER}"
CODE = "/plugin"
USER = "65532:65532"
FORM = "1"
_FACTS = f"{OWN}base"
SYSTEM = f"{OWN}system"
"""Label: `none` where there is no Linux in an image, nor Python: a container of it starts nothing."""
NONE = "none"
"""Names the base that has nothing in it."""
NAMED_LAST = "ntp-base"
"""Annotation in the index of images that `ntpctl` keeps: the base that was named last, and its name."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What packing a plugin has to know of its base; it travels as a label.

    `python`: the interpreter's path in the image. `tag`: what compiled files have to fit.
    `distributions`: canonical name -> version of what the SDK brought, and of the SDK.
    `system`: whether there is a Linux in it.
    """

    python: str
    tag: str
    distributions: Mapping[str, str]
    contract: str
    system: bool = True

    def label(self) -> str:
        document = {
            "form": FORM,
            "python": self.python,
            "tag": self.tag,
            "distributions": dict(self.distributions),
            "contract": self.contract,
            **({} if self.system else {"system": False}),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @property
    def given(self) -> Given:
        return Given(self.distributions, self.tag)


def facts(image: Image, name: str) -> Facts:
    """Return what a base says of itself.

    Raises:
        OciError: it is no base of ours.
    """
    fix = "make one with plugin-images/base/from-debian or from its Dockerfile"
    text = image.labels.get(_FACTS)
    if text is None:
        raise OciError(f"{name} is no base image: it has no label {_FACTS}", fix=fix)
    try:
        document = json.loads(text)
        found = Facts(
            str(document["python"]),
            str(document["tag"]),
            {str(key): str(version) for key, version in document["distributions"].items()},
            str(document["contract"]),
            document.get("system", True) is not False,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OciError(f"{name}: its label {_FACTS} cannot be read", fix=fix) from error
    if document.get("form") != FORM or SDK not in found.distributions:
        raise OciError(f"{name} was made for another ntp-sdk", fix=fix)
    return found


def command(python: str) -> list[str]:
    """Return what an image starts.

    As on every runtime: no system packages, no user's, no current folder, nothing is written.
    """
    return [python, "-S", "-s", "-P", "-B", "-m", "ntp.runner"]


def settings(python: str, labels: Mapping[str, str]) -> dict[str, object]:
    """Return the config of an image whose one program is the runner; every field is ours."""
    return {
        "User": USER,
        "WorkingDir": "/",
        "Env": [
            "PATH=/usr/local/bin:/usr/bin:/bin",
            MODULES,
            "HOME=/tmp",
            "LANG=C.UTF-8",
            "OPENBLAS_NUM_THREADS=1",
            "OMP_NUM_THREADS=1",
        ],
        "Entrypoint": command(python),
        "StopSignal": "SIGTERM",
        "Labels": dict(sorted(labels.items())),
    }


def build(
    layout: Layout,
    *,
    system: Image | None,
    below: Sequence[Layer],
    sdk: Path,
    runtime: Path,
    facts: Facts,
    labels: Mapping[str, str],
    architecture: str,
    form: Form,
) -> Image:
    """Put the SDK on a system and return the base.

    Args:
        layout: where to.
        system: an image with Python that this is built on, if any.
        below: layers with Python where there is no such image.
        sdk: folder with the package `ntp`, compiled.
        runtime: folder with the distributions that it needs, compiled.
        facts: what is true of both.
        labels: more of them.
        architecture: in the words of Go.
        form: how layers are written.
    """
    added = [
        layer.write(
            layout,
            layer.under(RUNTIME_FOLDER, needed(runtime)),
            form,
            comment="ntp: what the SDK needs",
        ),
        layer.write(
            layout,
            layer.under(SDK_FOLDER, needed(sdk)),
            form,
            comment=f"ntp: the SDK {facts.distributions[SDK]}",
        ),
    ]
    return images.build(
        layout,
        base=system,
        layers=[*below, *added],
        settings=settings(facts.python, {_FACTS: facts.label(), **labels}),
        annotations={},
        architecture=architecture,
        epoch=form.epoch,
    )


def nothing(layout: Layout, *, versions: Mapping[str, str], architecture: str) -> Image:
    """Put a base into a layout that has no layer: what is built on it is a plugin's own, and no more.

    Args:
        layout: where to.
        versions: of the SDK here, and of what it needs: the plugin's wheels are chosen beside these.
        architecture: in the words of Go.
    """
    python = "/usr/bin/python3"
    found = Facts(python, platform_tag(), versions, CONTRACT, system=False)
    return images.build(
        layout,
        base=None,
        layers=[],
        settings=settings(python, {_FACTS: found.label(), SYSTEM: NONE}),
        annotations={},
        architecture=architecture,
    )


def has_system(image: Image) -> bool:
    """Whether there is a Linux in an image, as its maker says."""
    return image.labels.get(SYSTEM) != NONE


def needed(folder: Path) -> Iterator[tuple[str, Content]]:
    """Yield what runs of installed distributions, and their compiled files."""
    for path, content in files(folder):
        inside = PurePosixPath(path)
        source = inside.parent.parent / "x" if inside.parent.name == "__pycache__" else inside
        if is_needed(source):
            yield path, content


def files(folder: Path) -> Iterator[tuple[str, Content]]:
    """Yield the regular files of a folder that we filled ourselves, by relative path."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(PurePosixPath(path.relative_to(folder))), path
