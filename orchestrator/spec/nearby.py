"""What stands around a syntax error: libyaml says where it gave up, a person wants to know why."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

_NO_SPACE: Final = re.compile(r"\s*(?:- +)?([A-Za-z_][\w-]*):([^\s:/][^:]*)\Z")
_NO_COLON: Final = re.compile(r"\s*(?:- +)?([A-Za-z_][\w-]*)\s*\Z")
_WHOLE: Final = re.compile(r"\s*(?:- +)?[A-Za-z_][\w-]*:\s+[^\s#|>{\[].*\Z")
_TWO_KEYS: Final = re.compile(r"\s*(?:- +)?[A-Za-z_][\w-]*: +([A-Za-z_][\w-]*):(?:\s|\Z)")
_CONFLICT: Final = ("<<<<<<< ", ">>>>>>> ")
_VARIABLE: Final = re.compile(r"\$\{[^{}]*\}?")
_LONGEST: Final = 200
"""Characters of a line that are looked at: a mistake in a longer one is told in general words."""
_MANY: Final = 200_000
"""Characters of a file in which a merge conflict is looked for."""


class Cause(NamedTuple):
    """Line and column count from 0."""

    line: int
    column: int
    message: str
    fix: str


def cause(text: str, line: int, column: int, *, colon: bool) -> Cause | None:
    """Return what is wrong around the place of an error; None if it is nothing that is known here.

    `colon`: a ':' outside brackets is what libyaml stumbled over.
    """
    # As libyaml counts: its breaks are fewer than those of splitlines.
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
    here = lines[line][:_LONGEST] if line < len(lines) else ""
    return (
        _conflict(lines, len(text))
        or _invisible(here, line)
        or _tab(here, line, column)
        or _comment(lines, line)
        or _variable(here, line, column)
        or (_colon(lines, line, column) if colon else None)
    )


def invisible(text: str) -> str | None:
    """Return the name of the first character in it that looks like a space, or like nothing."""
    for character in text:
        if not character.isascii() and unicodedata.category(character) in ("Zs", "Cf"):
            name = unicodedata.name(character, "unnamed").lower()
            return f"{name} (U+{ord(character):04X})"
    return None


def _conflict(lines: Sequence[str], size: int) -> Cause | None:
    if size > _MANY:
        return None
    for at, each in enumerate(lines):
        if each.startswith(_CONFLICT):
            message = "a merge conflict was left in the file"
            return Cause(at, 0, message, "keep one of the two sides, and take the marker lines out")
    return None


def _invisible(here: str, line: int) -> Cause | None:
    # Only in front of the text: inside a quote such a character may be meant.
    front = here[: len(here) - len(here.lstrip(" \t\ufeff\u00a0\u200b\u3000"))]
    name = invisible(front)
    if name is None:
        return None
    return Cause(line, 0, f"an invisible character indents this line: {name}", "use plain spaces")


def _tab(here: str, line: int, column: int) -> Cause | None:
    front = here[: len(here) - len(here.lstrip())]
    if "\t" not in front or column > len(front):
        return None
    at = front.index("\t")
    return Cause(line, at, "a tab indents this line", "use spaces: YAML knows no tabs there")


def _comment(lines: Sequence[str], line: int) -> Cause | None:
    for at in (line, line - 1):
        column = lines[at].find("//") if 0 <= at < len(lines) else -1
        # The slashes of a URL come after its colon.
        if column >= 0 and lines[at][:column].strip(" {}[],") == "" and "://" not in lines[at]:
            return Cause(at, column, "'//' begins no comment", "begin comments with '#'")
        if column > 0 and lines[at][:column].rstrip().endswith(("}", "]")):
            return Cause(at, column, "'//' begins no comment", "begin comments with '#'")
    return None


def _variable(here: str, line: int, column: int) -> Cause | None:
    for found in _VARIABLE.finditer(here):
        if found.start() <= column <= found.end() and not _quoted(here, found.start()):
            written = found[0] if found[0].endswith("}") else f"{found[0]}}}"
            message = f"{found[0]} stands without quotes between brackets"
            return Cause(line, found.start(), message, f'quote it: "{written}"')
    return None


def _quoted(here: str, at: int) -> bool:
    return here.count('"', 0, at) % 2 == 1 or here.count("'", 0, at) % 2 == 1


def _colon(lines: Sequence[str], line: int, column: int) -> Cause | None:
    if line >= len(lines) or lines[line][column : column + 1] != ":":
        return None
    here = lines[line][:_LONGEST]
    two = _TWO_KEYS.match(here)
    if two is not None and two.end(1) == column:
        message = f"'{two[1]}:' begins on the line of another key"
        fix = "put it on the next line, indented; quote text that contains ': '"
        return Cause(line, two.start(1), message, fix)
    before = line - 1
    while before >= 0 and not lines[before].partition("#")[0].strip():
        before -= 1
    if before < 0:
        return None
    above = lines[before][:_LONGEST]
    start = len(above) - len(above.lstrip(" -"))
    joined = _NO_SPACE.match(above)
    if joined is not None:
        message = f"a space is missing after '{joined[1]}:'"
        return Cause(before, start, message, f"write '{joined[1]}: {joined[2].strip()}'")
    bare = _NO_COLON.match(above)
    if bare is not None:
        return Cause(before, start, f"'{bare[1]}' has no ':'", f"write '{bare[1]}:'")
    deeper = len(here) - len(here.lstrip(" "))
    if _WHOLE.match(above) and deeper > start:
        message = "this line is indented deeper than the field above it, which has a value already"
        return Cause(line, deeper, message, "indent it like the field above it")
    return None
