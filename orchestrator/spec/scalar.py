"""Plain YAML scalars to values: the core schema of YAML 1.2, minus what a trader would trip over.

`no`, `on`, dates and `12:30:00` are text. `0777` could be octal, decimal or a symbol of Hong Kong's
exchange, so it is refused until it is quoted; so are `.nan` and `.inf`, which no price is.

https://yaml.org/spec/1.2.2/#103-core-schema
"""

import math
import re
from typing import Final

TEXT_FIRST: Final = frozenset(
    "abcdeghijklmopqrsuvwxyzABCDEGHIJKLMOPQRSUVWXYZ_/$\"'%@`*&!|>[]{},#=?:;()\\^"
)
"""A plain scalar that begins so is text, whatever follows."""

_WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_TYPOGRAPHIC: Final = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb"
"""Quotes of word processors: letters to YAML, so that a symbol would have them in its name."""
_NUMBER_FIRST: Final = frozenset("0123456789+-.")
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_OTHER_BASE: Final = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]+\Z")
_LONGEST_INT: Final = 21
_LOWEST, _HIGHEST = -(2**63), 2**64 - 1
"""What JSON readers of other languages hold without loss of digits, and msgspec too."""


class ScalarError(ValueError):
    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def resolve(text: str) -> str | int | float | bool | None:
    """Return what a plain scalar stands for.

    Raises:
        ScalarError: a number that is ambiguous, not finite or too large.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_FIRST:
        if text[0] in _TYPOGRAPHIC:
            bare = text[:60].strip(_TYPOGRAPHIC)
            raise ScalarError(f"{text[0]} is no quote that YAML knows", f'write "{bare}"')
        return text
    if _INT.match(text):
        return _integer(text, 10)
    if _LEADING_ZERO.match(text):
        raise ScalarError(
            f"{text[:60]} could be text{_octal(text)}decimal {text[:60].lstrip('+-0') or '0'}",
            f'quote it if it is text: "{text[:60]}"; else leave the zeros out',
        )
    if _FLOAT.match(text):
        number = float(text)
        if not math.isfinite(number):
            raise ScalarError(f"the number {text[:60]} is too large", "write a smaller number")
        return number
    if _OTHER_BASE.match(text):
        return _integer(text[2:], 16 if text[1] == "x" else 8)
    if _NOT_FINITE.match(text):
        raise ScalarError(
            f"{text} is no number to calculate with", f'write a number, or quote it: "{text}"'
        )
    return text


def _integer(digits: str, base: int) -> int:
    number = int(digits, base) if len(digits) <= _LONGEST_INT else _HIGHEST + 1
    if not _LOWEST <= number <= _HIGHEST:
        raise ScalarError(
            f"the whole number {digits[:20]}… does not fit 64 bits",
            f'quote it if it is text: "{digits[:20]}…"',
        )
    return number


def _octal(text: str) -> str:
    digits = text[:20].lstrip("+-")
    return " or " if set(digits) & {"8", "9"} else f", octal {int(digits, 8)} or "
