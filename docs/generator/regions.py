"""The generated parts of a page: what stands between two marks; all else is written by hand."""

import re
from collections.abc import Mapping

_REGION = re.compile(r"(<!-- generated: (?P<name>[^ ]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_OPENING = re.compile(r"<!-- generated: ")


class RegionError(Exception):
    """A page has a part that nobody makes, or lacks one that somebody does."""


def filled(page: str, parts: Mapping[str, str]) -> str:
    """Return the page with each generated part made anew.

    Raises:
        RegionError: parts and marks do not match one to one.
    """
    found = [region["name"] for region in _REGION.finditer(page)]
    if len(found) != len(_OPENING.findall(page)):
        raise RegionError("a generated part has no end")
    if sorted(found) != sorted(parts):
        odd = ", ".join(sorted({*found} ^ {*parts})) or "one that is there twice"
        raise RegionError(f"these parts and the marks in the page do not match: {odd}")
    return _REGION.sub(lambda region: f"{region[1]}\n{parts[region['name']]}\n{region[3]}", page)
