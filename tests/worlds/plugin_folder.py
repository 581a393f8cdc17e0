"""The folder of a plugin about which there is nothing to say."""

from pathlib import Path


def write(folder: Path, manifest: str, code: str) -> Path:
    """Make it, with the module `mine`, an empty licence and an empty test."""
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_mine.py").touch()
    (folder / "plugin.yaml").write_text(manifest)
    (folder / "mine.py").write_text(code)
    (folder / "README.md").write_text("# mine\n")
    (folder / "LICENSE").touch()
    return folder
