"""Which files of an installed distribution run: the rest is left out."""

from pathlib import PurePosixPath

_LEFT_OUT = frozenset({"__pycache__", "tests", "include", "pkgconfig"})
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyi", ".a", ".h", ".pxd", ".c"})


def is_needed(file: PurePosixPath) -> bool:
    if _LEFT_OUT.intersection(file.parts) or file.suffix in _LEFT_OUT_SUFFIXES:
        return False
    # Programs find a distribution by its metadata; nothing reads the rest of it.
    in_metadata = file.parts[0].endswith(".dist-info")
    return not in_metadata or file.name in {"METADATA", "entry_points.txt"}
