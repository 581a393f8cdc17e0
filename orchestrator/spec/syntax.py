"""libyaml's complaints, in the words of somebody who wrote a settings file."""

import re

import yaml

from orchestrator.errors import Problem
from orchestrator.spec import nearby

_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# (part of libyaml's problem, part of its context) -> what was found, what to do.
_WORDS: tuple[tuple[str, str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "",
        "a ':' stands where no value can begin",
        "indent by spaces under the line above, or quote text that contains ': '",
    ),
    ("unexpected end of stream", "quoted scalar", "a quote is not closed", "close it"),
    ("document indicator", "quoted scalar", "a quote is not closed", "close it"),
    ("expected ',' or ']'", "", "a '[' is not closed", "close it with ']', commas in between"),
    ("expected ',' or '}'", "", "a '{' is not closed", "close it with '}', commas in between"),
    (
        "alphabetic or numeric character",
        "alias",
        "a '*' begins the name of an anchor, and none follows",
        "quote it if it is text: '*'",
    ),
    (
        "alphabetic or numeric character",
        "anchor",
        "a '&' begins the name of an anchor, and none follows",
        "quote it if it is text: '&'",
    ),
    (
        "expected key",
        "block mapping",
        "this line does not fit the mapping that begins above",
        "indent it like the keys above it, in spaces; quote a value that goes on",
    ),
    (
        "expected '-' indicator",
        "",
        "this line does not fit the list that begins above",
        "indent it, in spaces, like the text after the '-' of its entry",
    ),
    ("could not find expected ':'", "", "a key has no ':'", "write 'key: value'"),
    (
        "block sequence entries are not allowed",
        "",
        "a '-' stands where no list can begin",
        "put the list on the next line, indented",
    ),
    (
        "unknown escape character",
        "",
        "a backslash in double quotes begins an escape that does not exist",
        "use single quotes, or double the backslash",
    ),
    ("undefined tag handle", "", "a '!' begins a tag that is not understood", "quote the text"),
    (
        "expected node content",
        "",
        "a value is missing here",
        "write a value, quote the text, or close the bracket that is open",
    ),
    (
        "expected <document start>",
        "",
        "text follows after the end of the document",
        "begin every top-level key at the first column",
    ),
    ("exceeded max depth", "", "nested too deep", "make it flatter"),
)


def explain(error: yaml.YAMLError, *, file: str, text: bytes) -> Problem:
    """Return what libyaml's error means, and where the mistake is rather than where it was noticed."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return _control(error, file, text.decode())
    mark = error.problem_mark or error.context_mark
    found, context = str(error.problem or ""), str(error.context or "")
    line, column = (mark.line, mark.column) if mark else (0, 0)
    whole = text.decode()
    colon = "mapping values are not allowed" in found
    why = nearby.cause(whole, line, column, colon=colon)
    if why is not None:
        return Problem(file, why.line + 1, why.column + 1, why.message, why.fix)
    if "cannot start any token" in found:
        return Problem(file, line + 1, column + 1, *_token(text, line, column))
    here = _line(text, line)
    words = _in_line(error, found, here[column : column + 1], here[:column])
    if words is not None:
        return Problem(file, line + 1, column + 1, *words)
    for part, where, message, fix in _WORDS:
        if part in found and where in context:
            if "not closed" in message and error.context_mark is not None:
                # It is noticed at the end of the file; it began here.
                line, column = error.context_mark.line, error.context_mark.column
            return Problem(file, line + 1, column + 1, message, fix)
    message = f"this is no YAML: {found or error}"
    return Problem(file, line + 1, column + 1, message, "check indentation and quotes around it")


def _token(text: bytes, line: int, column: int) -> tuple[str, str]:
    character = _line(text, line)[column : column + 1]
    if character == "\t":
        return "a tab indents this line", "use spaces: YAML knows no tabs there"
    return f"'{character}' cannot begin a value", "quote the text"


def _in_line(
    error: yaml.MarkedYAMLError, found: str, character: str, before: str
) -> tuple[str, str] | None:
    """Return words for what is wrong right there, though libyaml speaks of what began before."""
    began, noticed = error.context_mark, error.problem_mark
    if found.startswith("did not find expected ',' or") and began and noticed:
        # On a later line it is the end that is missing, not a comma.
        if began.line == noticed.line:
            fix = "put commas between items, and quotes around text with special characters"
            return f"a ',' or '{found[-2]}' is missing before this", fix
    elif "expected key" in found and before.rstrip().endswith(("'", '"')):
        fix = "quote the whole value: in '…' an apostrophe is doubled, in \"…\" it stands as it is"
        return "text follows after the closing quote", fix
    elif character == "-" and ("expected key" in found or "expected '-'" in found):
        fix = "indent it like the other '-' of its list, in spaces"
        return "this '-' does not fit what begins above", fix
    return None


def _line(text: bytes, line: int) -> str:
    lines = text.decode().splitlines()
    return lines[line] if line < len(lines) else ""


def _control(error: yaml.YAMLError, file: str, text: str) -> Problem:
    match = _CONTROL.search(text)
    if match is None:
        return Problem(file, 0, 0, f"this is no YAML: {error}", "save it as plain UTF-8 text")
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    message = f"the control character U+{ord(match[0]):04X} is not allowed"
    return Problem(file, line, column, message, 'take it out; in double quotes write it as "\\x…"')
