"""libyaml's complaints, in the words of somebody who wrote a settings file."""

import re

import yaml

from orchestrator.errors import Problem

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
        "expected key",
        "block mapping",
        "this line does not fit the mapping that begins above",
        "indent it like the keys above it, in spaces; quote a value that goes on",
    ),
    (
        "expected '-' indicator",
        "",
        "this line does not fit the list that begins above",
        "indent it like the lines above it, in spaces",
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
        "expected the node content",
        "",
        "a value is missing here",
        "write a value, or quote the text",
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
    if "cannot start any token" in found:
        return Problem(file, line + 1, column + 1, *_token(text, line, column))
    for part, where, message, fix in _WORDS:
        if part in found and where in context:
            if "not closed" in message and error.context_mark is not None:
                # It is noticed at the end of the file; it began here.
                line, column = error.context_mark.line, error.context_mark.column
            return Problem(file, line + 1, column + 1, message, fix)
    message = f"this is no YAML: {found or error}"
    return Problem(file, line + 1, column + 1, message, "check indentation and quotes around it")


def _token(text: bytes, line: int, column: int) -> tuple[str, str]:
    lines = text.decode().splitlines()
    character = lines[line][column : column + 1] if line < len(lines) else ""
    if character == "\t":
        return "a tab indents this line", "use spaces: YAML knows no tabs there"
    return f"'{character}' cannot begin a value", "quote the text"


def _control(error: yaml.YAMLError, file: str, text: str) -> Problem:
    match = _CONTROL.search(text)
    if match is None:
        return Problem(file, 0, 0, f"this is no YAML: {error}", "save it as plain UTF-8 text")
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    message = f"the control character U+{ord(match[0]):04X} is not allowed"
    return Problem(file, line, column, message, 'take it out; in double quotes write it as "\\x…"')
