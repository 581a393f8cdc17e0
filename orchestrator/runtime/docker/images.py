"""The images that containers of ours are made from: loaded where the engine lacks them, run by id."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import ActionError
from orchestrator.launch import Image, Launch
from orchestrator.runtime.docker.engine import AbsentError, Engine

BROKER = "ntp-broker"


class Images:
    """What one engine has. Blocking: called in its threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._configs: dict[str, Mapping[str, Any]] = {}
        self._ids: dict[str, str] = {}
        self._loading = threading.Lock()

    def id_of(self, launch: Launch) -> str:
        """The id of a plugin's image, which the engine has from now on.

        Raises:
            ActionError: it cannot be had, or another one goes by its name.
        """
        image = launch.environment.image if launch.environment is not None else None
        if image is None:
            raise ActionError(f"{launch.name} has no image", reason="ImageMissing", permanent=True)
        with self._loading:
            known = self._ids.get(image.reference)
            # Another image of that name is another one: an edited plugin keeps its version.
            if known is None or known not in image.ids:
                known = self._ids[image.reference] = self._found(image)
        return known

    def forget(self, image: str) -> None:
        """The engine said that it does not have it any more: the next question looks again."""
        with self._loading:
            self._ids = {name: each for name, each in self._ids.items() if each != image}

    def config(self, image: str) -> Mapping[str, Any]:
        """What the engine says of an image; an id always means the same one."""
        if image not in self._configs:
            self._configs[image] = self._engine.image(image)
        return self._configs[image]

    def of_program(self, program: Path) -> str:
        """The id of an image that holds one static program at its own path, and nothing else."""
        content = program.read_bytes()
        name = f"{BROKER}:{hashlib.sha256(content).hexdigest()[:32]}"
        with self._loading:
            try:
                return str(self._engine.image(name)["Id"])
            except AbsentError:
                self._engine.import_root(_tar(str(program), content), *name.split(":"))
                return str(self._engine.image(name)["Id"])

    def _has(self, image: str) -> bool:
        try:
            self._engine.image(image)
        except AbsentError:
            return False
        return True

    def _found(self, image: Image) -> str:
        for each in image.ids:
            if self._has(each):
                return each
        if image.archive is None:
            raise ActionError(
                f"the engine does not have image {image.reference}: run `ntpctl images build`",
                reason="ImageMissing",
            )
        with image.archive() as file:
            self._engine.load(file)
        loaded = str(self._engine.image(image.reference)["Id"])
        if loaded not in image.ids:
            raise ActionError(
                f"image {image.reference} was loaded as {loaded}, which is not what was built: "
                "somebody else gives that name to another image",
                reason="ImageRefused",
            )
        return loaded


def _tar(path: str, content: bytes) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode = len(content), 0o555
        archive.addfile(entry, io.BytesIO(content))
    return memory.getvalue()
