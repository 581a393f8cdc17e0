"""Semantic versions and their order: https://semver.org, items 2 and 9 to 11."""

import re

SEMVER_PATTERN = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$"
)
"""Strict, for a version becomes part of a path."""
LONGEST = 64
_VERSION = re.compile(SEMVER_PATTERN.removesuffix("$") + r"\Z")

Order = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def is_version(text: str) -> bool:
    return len(text) <= LONGEST and _VERSION.match(text) is not None


def order(version: str) -> Order:
    """Return what versions are compared by; build metadata counts for nothing.

    Raises:
        ValueError: it is no version.
    """
    if not is_version(version):
        raise ValueError(f"{version[:80]!r} is no semantic version")
    core, _, before = version.partition("+")[0].partition("-")
    major, minor, patch = map(int, core.split("."))
    # A number is less than a word; fewer identifiers are less than more.
    parts = tuple(
        (not each.isdigit(), int(each) if each.isdigit() else 0, each if not each.isdigit() else "")
        for each in before.split(".")
        if before
    )
    return (major, minor, patch, not before, parts)


def tag(version: str) -> str:
    """Return how a registry names it: `+` has no place in a tag."""
    return version.replace("+", "_")
