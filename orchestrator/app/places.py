"""Where data files lie: in a wheel beside this package, in a checkout beside its root."""

from importlib.resources import files
from pathlib import Path


def packaged(what: str) -> Path:
    """Return the folder `what` (config, schemas, or plugin-images for the bundled plugins)."""
    package = Path(str(files("orchestrator")))
    bundled = package / "bundled"
    inside = bundled if what == "plugin-images" else bundled / what
    return inside if inside.is_dir() else package.parent / what
