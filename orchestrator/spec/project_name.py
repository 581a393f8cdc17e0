"""What a project is called when no option says it."""

import re
import unicodedata

_LINES = (b"\nname", b'\n"name"', b"\n'name'")
_FIRST = re.compile(
    rb"(?:[ ]*(?:#[^\r\n]*)?\r?\n)*name:[ ]+([a-z][a-z0-9_-]*)(?:[ ]+#[^\r\n]*)?[ ]*(?:\r?\n)+(?=[a-z#]|\Z)"
)
"""A file that begins with a name in plain letters, as most do that have one."""
_OTHER = re.compile(r"[^a-z0-9_-]+")
_LONGEST = 40


def in_file(content: bytes) -> str | None:
    """Return the top-level `name:`; None also for a file with mistakes, which `load.read` tells."""
    # A cheap look first: most files have no name, and may be long.
    begin = b"\n" + content.removeprefix(b"\xef\xbb\xbf")
    if begin[1:2] != b"{" and not any(line in begin for line in _LINES):
        return None
    # To read the file costs more than all else that a command does which only asks the controller.
    first = _FIRST.match(begin, 1)
    if first:
        return first[1].decode()
    from orchestrator.spec.source import top_value

    name = top_value(content, "name")
    return name if isinstance(name, str) else None


def of_folder(folder: str) -> str:
    """Return a folder's name with what names may not have replaced by `-`."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode()
    name = _OTHER.sub("-", plain.lower()).strip("-_")
    if not name[:1].isalpha():
        name = f"project-{name}"
    return name[:_LONGEST].rstrip("-_")
